"""Forms that change something."""

from collections.abc import Mapping
from dataclasses import asdict
from decimal import Decimal
from typing import Any

from django import forms
from django.http import QueryDict

from chat.moderated import Reason
from moderation.long_lists import whole_number
from moderation.models import Job
from moderation.scopes import ONLY, Only, Scope
from moderation.steering import Pace
from moderation.verdict import AGAINST, Verdict
from moderation.video_filters import VideoFilter

# As many as one page can show, with room; a job over more is started from a filtered list.
MAX_SELECTED = 500
MAX_ID = 2**53
GIGABYTE = 10**9


class ScopeForm(forms.Form):
    """Of which kind a job is to be, and on which videos: the selected ones, else those that the
    filters of the video list leave; by itself, what is missing.

    ``until`` and ``counted`` are what a dry run found: see ``Scope`` and ``Job``.
    """

    kind = forms.ChoiceField(
        choices=[(kind, kind) for kind in Job.WORK],
        error_messages={"invalid_choice": "There is no such kind of job."},
    )
    only = forms.ChoiceField(
        choices=[(only, only) for only in ONLY],
        required=False,
        error_messages={"invalid_choice": "“Which of them” is missing, failed, outdated or all."},
    )
    limit = forms.IntegerField(
        label="At most",
        required=False,
        min_value=1,
        max_value=1_000_000_000,
        widget=forms.NumberInput(attrs={"placeholder": "all of them", "min": 1}),
    )
    until = forms.IntegerField(required=False, min_value=0, max_value=MAX_ID)
    counted = forms.IntegerField(required=False, min_value=0, max_value=1_000_000_000)
    selection = forms.BooleanField(required=False, help_text="the ticked rows are meant")
    everything = forms.BooleanField(required=False, help_text="or all that the filters leave")

    def __init__(self, data: QueryDict) -> None:
        super().__init__({**data.dict(), "kind": data.get("kind") or Job.Kind.METADATA})
        self.selected = () if data.get("everything") else selected_ids(data)
        # A selection is what was ticked, whatever the filters leave by now.
        self.filters = {} if data.get("selection") and self.selected else filters_in(data)
        self.fields["limit"].widget.attrs |= {
            "class": "form-control",
            "aria-describedby": "id_limit_error",
        }

    @property
    def wanted_kind(self) -> Job.Kind:
        """The one asked for, else the first."""
        asked = self.data["kind"]
        return Job.Kind(asked) if asked in Job.WORK else Job.Kind.METADATA

    @property
    def wanted_only(self) -> Only:
        """What was asked for; by itself all that a list or a selection showed."""
        asked = self.data.get("only")
        narrowed = bool(self.selected or self.filters or self.data.get("everything"))
        return next((only for only in ONLY if only == asked), "all" if narrowed else "missing")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("selection") and not (self.selected or cleaned.get("everything")):
            raise forms.ValidationError("No video is selected. Tick one or more first.")
        return cleaned

    def scope(self, only: Only | None = None) -> Scope:
        """What a valid form asks for; with another ``only``, where that is given."""
        cleaned = self.cleaned_data
        return Scope(
            only=only or self.wanted_only,
            ids=self.selected,
            filters=self.filters,
            limit=cleaned.get("limit"),
            until=cleaned.get("until"),
        )


def filters_in(data: QueryDict) -> dict[str, str]:
    """{name: value} of the video list's filters."""
    asked = {name: str(data.get(name, "")) for name in VideoFilter.base_filters}
    return {name: value for name, value in asked.items() if value.strip()}


def selected_ids(data: QueryDict) -> tuple[int, ...]:
    texts = data.getlist("selected")[:MAX_SELECTED]
    return tuple(sorted({whole_number(text, 0) for text in texts} - {0}))


class VerdictForm(forms.Form):
    """Why, of a decision on several videos; restoring needs no reason."""

    reason = forms.ChoiceField(
        label="Reason", choices=[("", "Choose a reason"), *Reason.choices], required=False
    )
    internal_note = forms.CharField(
        label="Note for colleagues",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )
    uploader_note = forms.CharField(
        label="Note to the uploader",
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 2}),
    )

    def __init__(self, action: str, data: QueryDict | None = None) -> None:
        super().__init__(data)
        self.action = action
        if action not in AGAINST:
            del self.fields["reason"], self.fields["uploader_note"]
        for name, field in self.fields.items():
            select = isinstance(field.widget, forms.Select)
            field.widget.attrs |= {
                "class": "form-select" if select else "form-control",
                "aria-describedby": f"id_{name}_error",
                "autofocus": name == "reason",
            }

    def clean_reason(self) -> str:
        reason: str = self.cleaned_data["reason"]
        if not reason:
            raise forms.ValidationError("Choose a reason.")
        return reason

    @property
    def verdict(self) -> Verdict:
        """Of a valid form."""
        return Verdict(self.action, **self.cleaned_data)


def clock_input() -> forms.TimeInput:
    return forms.TimeInput(attrs={"type": "time"}, format="%H:%M")


class PaceForm(forms.Form):
    """How fast, by how many, and when; what is left empty is not limited."""

    workers = forms.IntegerField(
        label="Workers at once",
        required=False,
        min_value=1,
        max_value=1000,
        widget=forms.NumberInput(attrs={"placeholder": "all", "min": 1, "max": 1000}),
    )
    items_per_second = forms.FloatField(
        label="Videos a second",
        required=False,
        min_value=0.001,
        max_value=1_000_000,
        widget=forms.NumberInput(attrs={"placeholder": "no limit", "min": 0.001, "step": "any"}),
    )
    hours_from = forms.TimeField(label="Only from", required=False, widget=clock_input())
    hours_until = forms.TimeField(label="until", required=False, widget=clock_input())

    def __init__(self, data: Mapping[str, Any] | None = None, job: Job | None = None) -> None:
        initial = asdict(Pace.of(job)) if job else {}
        if rate := initial.get("items_per_second"):
            initial["items_per_second"] = f"{rate:g}"
        super().__init__(data, initial=initial)
        for name, field in self.fields.items():
            field.widget.attrs |= {
                "class": "form-control",
                "aria-describedby": f"id_{name}_error",
                "autocomplete": "off",
            }

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if not self.errors:
            try:
                cleaned["pace"] = Pace(**{name: cleaned[name] for name in self.fields})
            except ValueError as error:
                self.add_error("hours_until", str(error))
        return cleaned

    @property
    def pace(self) -> Pace:
        """Of a valid form."""
        pace: Pace = self.cleaned_data["pace"]
        return pace


class QuotaForm(forms.Form):
    """How much a person may store; nothing given means as much as everybody."""

    gigabytes = forms.DecimalField(
        label="Quota in GB",
        required=False,
        min_value=0,
        max_value=1_000_000,
        widget=forms.NumberInput(
            attrs={
                "class": "form-control",
                "placeholder": "everybody’s",
                "min": 0,
                "step": "any",
                "aria-describedby": "id_gigabytes_error",
                "autocomplete": "off",
            }
        ),
    )

    @classmethod
    def of(cls, quota_bytes: int | None) -> "QuotaForm":
        given = None if quota_bytes is None else f"{Decimal(quota_bytes) / GIGABYTE:f}"
        return cls(initial={"gigabytes": given})

    @property
    def quota_bytes(self) -> int | None:
        gigabytes = self.cleaned_data["gigabytes"]
        return None if gigabytes is None else int(gigabytes * GIGABYTE)
