"""What can be done with a video in its row of a list, without going to its page: links all, so
that none needs a script; what changes something asks first."""

from dataclasses import dataclass
from functools import lru_cache

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import escape
from django.utils.http import urlencode
from django.utils.safestring import SafeString

from chat.models import Attachment
from moderation.decision import Decision

Action = Decision.Action
Visibility = Attachment.Visibility

# Of what is removed the video's page alone says whether its bytes are still there.
DECISIONS = {
    Visibility.VISIBLE: (Action.QUARANTINE, Action.REMOVE),
    Visibility.QUARANTINED: (Action.RESTORE, Action.REMOVE),
    Visibility.REMOVED: (),
}
# On the link, its icon, its key.
LOOKS = {
    Action.QUARANTINE: ("Quarantine", "eye-off", "q"),
    Action.RESTORE: ("Restore", "eye", "r"),
    Action.REMOVE: ("Remove", "trash", "d"),
}
# Stand for a video's number and name in the menu that is made once for all rows alike.
NUMBER, NAME = str(2**53 - 1), "{name}"


@dataclass(frozen=True, slots=True)
class RowAction:
    """``key`` is empty where it has none."""

    words: str
    icon: str
    address: str
    key: str = ""


def row_menu(request: HttpRequest, attachment: Attachment) -> SafeString:
    """The menu at the row's end, and the decisions beside it."""
    user = request.user
    pattern = menu_of(
        attachment.visibility,
        request.GET.urlencode(),
        may_decide=user.has_perm("moderation.decide"),
        may_run_jobs=user.has_perm("moderation.run_jobs"),
    )
    numbered = pattern.replace(NUMBER, str(attachment.pk))
    return SafeString(numbered.replace(NAME, escape(attachment.original_name)))


@lru_cache(maxsize=64)  # a list has a hundred rows, and three kinds of them
def menu_of(visibility: str, list_query: str, *, may_decide: bool, may_run_jobs: bool) -> str:
    may_process = may_run_jobs and visibility != Visibility.REMOVED
    context = {
        "number": NUMBER,
        "name": NAME,
        "decisions": decisions(visibility, list_query) if may_decide else [],
        "others": [*([processing()] if may_process else []), *looks()],
    }
    return render_to_string("moderation/_row_menu.html", context)


def decisions(visibility: str, list_query: str) -> list[RowAction]:
    """Each leads back to the list as it is."""
    back = urlencode({"selected": NUMBER, "back": list_query})
    return [
        RowAction(words, icon, f"{reverse('moderation:bulk')}?action={action}&{back}", key)
        for action in DECISIONS[Visibility(visibility)]
        for words, icon, key in [LOOKS[action]]
    ]


def processing() -> RowAction:
    asked = urlencode({"selection": "1", "kind": "metadata", "selected": NUMBER})
    return RowAction("Process again", "refresh", f"{reverse('moderation:job-new')}?{asked}")


def looks() -> list[RowAction]:
    stream = reverse("moderation:video-stream", args=[NUMBER])
    about = urlencode({"object_type": "attachment", "object_id": NUMBER})
    return [
        RowAction("Download", "download", f"{stream}?download=1"),
        RowAction(
            "Report, to print", "printer", reverse("moderation:video-report", args=[NUMBER])
        ),
        RowAction("Its history", "activity", f"{reverse('moderation:activity')}?{about}"),
    ]
