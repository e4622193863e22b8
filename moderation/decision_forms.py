"""What a moderator sends: the verdict, the version it was made on, the copies it goes for."""

from collections.abc import Collection
from typing import Any

from django import forms
from django.http import QueryDict

from chat.models import Attachment
from chat.moderated import Reason
from moderation.decisions import MAX_COPIES
from moderation.forms import MAX_ID
from moderation.long_lists import whole_number
from moderation.verdict import AGAINST, LOGGED_AS, Verdict

MAX_NOTE_CHARACTERS = 2000


class DecisionForm(forms.Form):
    """A verdict on one video.  ``copy`` comes once for each copy that is ticked, as ID:VERSION;
    ``copies_until`` is the highest id that was offered."""

    action = forms.ChoiceField(choices=[(action, action) for action in LOGGED_AS])
    reason = forms.ChoiceField(
        label="Reason, to hold it back or remove it",
        choices=[(value, label.capitalize()) for value, label in Reason.choices],
        required=False,
        widget=forms.Select(attrs={"class": "form-select"}),
    )
    uploader_note = forms.CharField(
        label="Note to the uploader, with the reason",
        required=False,
        max_length=MAX_NOTE_CHARACTERS,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
    )
    internal_note = forms.CharField(
        label="Internal note",
        required=False,
        max_length=MAX_NOTE_CHARACTERS,
        widget=forms.Textarea(attrs={"class": "form-control", "rows": 2}),
    )
    version = forms.IntegerField(min_value=0, max_value=2**31 - 1, widget=forms.HiddenInput)
    copies_until = forms.IntegerField(
        required=False, min_value=0, max_value=MAX_ID, widget=forms.HiddenInput
    )
    hold_same_bytes = forms.BooleanField(
        label="Hold these bytes back when they are sent again",
        required=False,
        widget=forms.CheckboxInput(attrs={"class": "form-check-input"}),
    )

    def __init__(self, data: QueryDict | None = None, **kwargs: Any) -> None:
        super().__init__(data, **kwargs)
        self.copies = chosen_copies(data) if data is not None else None
        for name in ("reason", "uploader_note", "internal_note"):
            self.fields[name].widget.attrs["aria-describedby"] = f"id_{name}_error"

    @classmethod
    def offered(
        cls, attachment: Attachment, copies: Collection[Attachment], reason: str
    ) -> "DecisionForm":
        """Unbound, on the attachment as it is."""
        return cls(
            initial={
                "reason": reason or Reason.OTHER,
                "version": attachment.decision_version,
                "copies_until": max([attachment.pk, *(copy.pk for copy in copies)]),
                "hold_same_bytes": True,
            }
        )

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        if cleaned.get("action") in AGAINST and not cleaned.get("reason") and not self.errors:
            self.add_error("reason", "Choose a reason.")
        return cleaned

    def ticks(self, copy: Attachment) -> bool:
        """Whether the copy is ticked; all are at first."""
        return self.copies is None or copy.pk in self.copies

    @property
    def verdict(self) -> Verdict:
        """Of a valid form."""
        names = ("action", "reason", "internal_note", "uploader_note", "hold_same_bytes")
        return Verdict(**{name: self.cleaned_data[name] for name in names})

    @property
    def newer_copies_than(self) -> int | None:
        """Copies that came while the moderator was reading are held as what comes later is."""
        cleaned = self.cleaned_data
        wanted = cleaned["action"] in AGAINST and cleaned["hold_same_bytes"]
        return cleaned["copies_until"] if wanted else None


def chosen_copies(data: QueryDict) -> dict[int, int]:
    """{id: version}; what is nonsense names no copy."""
    found = {}
    for text in data.getlist("copy")[:MAX_COPIES]:
        pk, _, version = text.partition(":")
        if whole_number(pk, 0) and version:
            found[whole_number(pk, 0)] = whole_number(version, 0)
    return found
