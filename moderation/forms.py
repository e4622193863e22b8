"""Forms that change something."""

from typing import Any

from django import forms

from moderation.long_lists import whole_number
from moderation.models import Job
from moderation.scopes import ONLY

# As many as one page can show, with room; a job over more is started from the Jobs page.
MAX_SELECTED = 500


class StartJobForm(forms.Form):
    """What to do on which videos: the ticked ones, else all that are missing or failed."""

    kind = forms.ChoiceField(choices=Job.Kind.choices)
    only = forms.ChoiceField(choices=[(only, only) for only in ONLY], required=False)
    selection = forms.BooleanField(required=False, help_text="the ticked rows are meant")

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or self.cleaned_data
        cleaned["selected"] = selected = self.selected_ids()
        if cleaned.get("selection") and not selected:
            raise forms.ValidationError("No video is selected. Tick one or more first.")
        if not selected and not cleaned.get("only"):
            raise forms.ValidationError("Say which videos: missing, failed or all.")
        return cleaned

    def selected_ids(self) -> tuple[int, ...]:
        texts = self.data.getlist("selected")[:MAX_SELECTED]  # type: ignore[attr-defined]
        return tuple(sorted({whole_number(text, 0) for text in texts} - {0}))
