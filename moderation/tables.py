"""Columns of the lists and how their cells look; an order is allowed only where one is named."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import django_tables2 as tables
from django.contrib.auth.models import User
from django.template import Context
from django.template.loader import get_template
from django.utils.html import format_html
from django.utils.safestring import SafeString

from chat.models import ActivityLog, Attachment, ReportCase
from moderation.models import Failure, Job
from moderation.row_actions import row_menu
from moderation.templatetags.dashboard import ago, attachment_state, state
from moderation.words import (
    bitrate_words,
    codec_words,
    container_words,
    dimensions_words,
    rate_words,
    rough_span_words,
    size_words,
)

DASH = SafeString('<span class="none" aria-label="unknown">–</span>')
NUMBER = {"cell": {"class": "number"}}


class ListTable(tables.Table):
    """Looks that all lists share; every cell carries its column's name as ``col-…``."""

    class Meta:
        template_name = "moderation/_table.html"
        attrs = {"class": "list"}
        default = DASH
        orderable = False

    @property
    def lines(self) -> Iterator[tuple[Any, Iterable[tuple[str, Any]]]]:
        """(record, [(class, content) of each cell]) of each row of the page.

        For a cell of ``row.items`` the library would work out all attributes of its column anew.
        """
        classes = [column.attrs["td"]["class"] for column in self.columns]
        for row in self.paginated_rows:
            yield row.record, zip(classes, row, strict=True)

    def get_column_class_names(self, classes_set: set[str], bound_column: Any) -> set[str]:
        names: set[str] = super().get_column_class_names(classes_set, bound_column)
        return names | {f"col-{bound_column.name}"}


class SelectColumn(tables.Column):
    """A check box that names its row to a screen reader."""

    def __init__(self) -> None:
        super().__init__(accessor="pk", orderable=False, verbose_name="Select")

    @property
    def header(self) -> SafeString:
        return SafeString(
            '<input type="checkbox" class="form-check-input" data-select-all hidden'
            ' aria-label="Select all on this page">'
        )

    def render(self, record: Attachment) -> SafeString:
        return format_html(
            '<input type="checkbox" class="form-check-input" name="selected" value="{}"'
            ' data-row-select aria-label="Select {}">',
            record.pk,
            record.original_name,
        )


class CellColumn(tables.Column):
    """A template of ``moderation/cells/``, with ``record`` and ``request`` and nothing else: a
    ``TemplateColumn`` runs all context processors for each cell."""

    def __init__(self, template: str, **kwargs: Any) -> None:
        super().__init__(empty_values=(), **kwargs)
        self.template_name = f"moderation/cells/{template}.html"

    def render(self, record: Any, table: Any) -> SafeString:
        template: Any = get_template(self.template_name)
        request = getattr(table, "request", None)
        content: SafeString = template.template.render(
            Context({"record": record, "request": request})
        )
        return content


class InOrder(tables.data.TableData):
    """Rows of one page, already in the order that the table's headers tell."""

    def __len__(self) -> int:
        return len(self.data)

    def order_by(self, _aliases: Any) -> None:
        """They stay as they came."""


class VideoTable(ListTable):
    """Of ``InOrder`` rows; what it can be sorted by is in ``video_filters.ORDERS``."""

    selected = SelectColumn()
    thumbnail = CellColumn("thumbnail", verbose_name="Preview", orderable=False)
    name = CellColumn("video_name", orderable=True)
    conversation = tables.Column(verbose_name="Conversation")
    uploader = tables.Column(accessor="uploaded_by__username", verbose_name="Uploader")
    dimensions = tables.Column(accessor="width", orderable=True, attrs=NUMBER)
    codec = tables.Column(orderable=True)
    audio = tables.Column(accessor="audio_codec", verbose_name="Sound")
    duration = tables.Column(accessor="duration_formatted", orderable=True, attrs=NUMBER)
    size = tables.Column(orderable=True, attrs=NUMBER)
    bitrate = tables.Column(verbose_name="Bit rate", orderable=True, attrs=NUMBER)
    frame_rate = tables.Column(verbose_name="Frames a second", attrs=NUMBER)
    state = tables.Column(accessor="processing_state", orderable=True)
    added = tables.Column(accessor="created_at", orderable=True, attrs=NUMBER)
    number = tables.Column(accessor="pk", verbose_name="Number", attrs=NUMBER)
    actions = tables.Column(accessor="pk", verbose_name="Actions")

    # What a person can choose from; the others are always there.
    CHOOSABLE = (
        "dimensions", "codec", "audio", "duration", "size", "bitrate", "frame_rate", "state",
        "added", "conversation", "uploader", "number",
    )  # fmt: skip
    USUAL = ("dimensions", "codec", "duration", "size", "state", "added")

    class Meta(ListTable.Meta):
        pass

    def render_dimensions(self, record: Attachment) -> str:
        return dimensions_words(record.video_dimensions)

    def render_codec(self, record: Attachment) -> SafeString:
        return format_html(
            '<span>{}</span> <span class="quiet">{}</span>',
            codec_words(record.codec),
            container_words(record.container),
        )

    def render_audio(self, value: str) -> str:
        return codec_words(value)

    def render_size(self, value: int) -> str:
        return size_words(value)

    def render_bitrate(self, value: int) -> str:
        return bitrate_words(value)

    def render_frame_rate(self, value: float) -> str:
        return f"{value:.4g}"

    def render_state(self, record: Attachment) -> SafeString:
        return attachment_state(record)

    def render_added(self, record: Attachment) -> SafeString | str:
        return ago(record.created_at)

    def render_number(self, value: int) -> str:
        return f"#{value}"

    def render_actions(self, record: Attachment) -> SafeString:
        return row_menu(self.request, record)


class ActivityTable(ListTable):
    when = tables.Column(accessor="created_at", verbose_name="When")
    who = CellColumn("activity_who", verbose_name="Who")
    what = CellColumn("activity_what", verbose_name="What")
    where = CellColumn("activity_where", verbose_name="From")
    details = CellColumn("activity_details", verbose_name="Details")

    class Meta(ListTable.Meta):
        pass

    def render_when(self, record: ActivityLog) -> SafeString | str:
        return ago(record.created_at)


class PersonTable(ListTable):
    name = CellColumn("person_name", order_by=("username",), orderable=True)
    email = tables.Column(verbose_name="Email")
    roles = CellColumn("person_roles", verbose_name="Roles")
    signed_in = tables.Column(accessor="last_login", verbose_name="Last sign-in", attrs=NUMBER)
    state = tables.Column(accessor="is_active", verbose_name="Account")

    class Meta(ListTable.Meta):
        order_by = "name"

    def render_signed_in(self, record: User) -> SafeString | str:
        return ago(record.last_login)

    def render_state(self, record: User) -> SafeString:
        return state("on", word="Active") if record.is_active else state("off", word="Deactivated")


class ReportTable(ListTable):
    """Of cases that carry what was ``gathered`` of their reports."""

    thumbnail = CellColumn("report_thumbnail", verbose_name="Preview")
    name = CellColumn("report_name", verbose_name="Name")
    reports = tables.Column(
        verbose_name="Reports", order_by=("open_reports", "-id"), orderable=True, attrs=NUMBER
    )
    reasons = CellColumn("report_reasons", verbose_name="Reasons")
    times = CellColumn("report_times", verbose_name="In the video")
    state = CellColumn("report_state", verbose_name="State")
    waiting = tables.Column(
        accessor="waiting_since",
        verbose_name="Waiting since",
        order_by=("waiting_since", "id"),
        orderable=True,
        attrs=NUMBER,
    )
    last = tables.Column(
        accessor="last_at",
        verbose_name="Last",
        order_by=("last_at", "id"),
        orderable=True,
        attrs=NUMBER,
    )

    class Meta(ListTable.Meta):
        pass

    def render_reports(self, record: ReportCase) -> str:
        return f"{record.open_reports or record.reports:,}"

    def render_waiting(self, value: datetime) -> SafeString | str:
        return ago(value)

    def render_last(self, value: datetime) -> SafeString | str:
        return ago(value)


class JobTable(ListTable):
    """Of jobs that carry their ``progress`` and ``standing``."""

    job = CellColumn("job_name", verbose_name="Job")
    status = CellColumn("job_status", verbose_name="Status")
    progress = CellColumn("job_progress", verbose_name="Progress")
    rate = tables.Column(verbose_name="Per second", empty_values=(), attrs=NUMBER)
    left = tables.Column(verbose_name="Time left", empty_values=(), attrs=NUMBER)
    who = CellColumn("job_who", verbose_name="Started by")
    when = tables.Column(accessor="created_at", verbose_name="When", attrs=NUMBER)

    class Meta(ListTable.Meta):
        pass  # django-tables2 does not look for Meta in base classes

    def render_rate(self, record: Any) -> str:
        rate = record.progress.rate_per_second
        return rate_words(rate) if rate else DASH

    def render_left(self, record: Any) -> str:
        return rough_span_words(record.progress.eta_seconds) or DASH

    def render_when(self, record: Job) -> SafeString | str:
        return ago(record.created_at)


class FailureTable(ListTable):
    thumbnail = CellColumn("failure_thumbnail", verbose_name="Preview")
    name = CellColumn("failure_name", verbose_name="Name")
    reason = CellColumn("failure_reason", verbose_name="Reason")
    tries = tables.Column(accessor="attempts", verbose_name="Tries", attrs=NUMBER)
    state = CellColumn("failure_state", verbose_name="State")
    when = tables.Column(accessor="created_at", verbose_name="Last try", attrs=NUMBER)

    class Meta(ListTable.Meta):
        pass

    def render_when(self, record: Failure) -> SafeString | str:
        return ago(record.created_at)
