"""What can be done with a video in its row of a list, without going to its page: links all, so
that none needs a script; what changes something asks first."""

from dataclasses import dataclass

from django.http import HttpRequest
from django.urls import reverse
from django.utils.http import urlencode

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


@dataclass(frozen=True, slots=True)
class RowAction:
    """``key`` is empty where it has none."""

    words: str
    icon: str
    address: str
    key: str = ""


@dataclass(frozen=True, slots=True)
class RowActions:
    """``decisions`` are at hand as soon as one is at the row, ``others`` in its menu alone."""

    decisions: list[RowAction]
    others: list[RowAction]


def row_actions(request: HttpRequest, attachment: Attachment) -> RowActions:
    """What this person may do with it; deciding leads back to the list as it is."""
    user = request.user
    decisions = []
    if user.has_perm("moderation.decide"):
        back = urlencode({"selected": str(attachment.pk), "back": request.GET.urlencode()})
        for action in DECISIONS[Visibility(attachment.visibility)]:
            words, icon, key = LOOKS[action]
            address = f"{reverse('moderation:bulk')}?action={action}&{back}"
            decisions.append(RowAction(words, icon, address, key))
    others = []
    if user.has_perm("moderation.run_jobs") and attachment.visibility != Visibility.REMOVED:
        asked = urlencode({"selection": "1", "kind": "metadata", "selected": str(attachment.pk)})
        address = f"{reverse('moderation:job-new')}?{asked}"
        others.append(RowAction("Process again", "refresh", address))
    others += [
        RowAction("Download", "download", f"{page_of('video-stream', attachment)}?download=1"),
        RowAction("Report, to print", "printer", page_of("video-report", attachment)),
        RowAction("Its history", "activity", history_of(attachment)),
    ]
    return RowActions(decisions, others)


def page_of(name: str, attachment: Attachment) -> str:
    return reverse(f"moderation:{name}", args=[attachment.pk])


def history_of(attachment: Attachment) -> str:
    about = urlencode({"object_type": "attachment", "object_id": str(attachment.pk)})
    return f"{reverse('moderation:activity')}?{about}"
