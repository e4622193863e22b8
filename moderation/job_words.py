"""How the pages speak of jobs: kinds, what they are done on, how one stands."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone
from django.utils.http import urlencode

from moderation.models import Job
from moderation.progress import Progress
from moderation.scopes import WORDS, Only, Scope
from moderation.words import rough_span_words

Kind, Status = Job.Kind, Job.Status

KIND_WORDS = {
    Kind.METADATA: "Reads dimensions, codec, duration and bit rate, and makes the thumbnail.",
    Kind.THUMBNAILS: "Makes the thumbnail of videos anew, or where it is missing.",
    Kind.STORYBOARDS: "Makes small pictures from all over each video, and its placeholder.",
    Kind.PREVIEWS: "Makes a small copy of videos that browsers do not play or that are heavy.",
    Kind.FINGERPRINTS: "Hashes a picture a second, to find copies of a video by its looks.",
    Kind.DECISIONS: "Decides the same on each video.",
    Kind.VERIFY: "Looks whether the files are stored, with their size and hash, and open.",
}
# The part of a job's set that an address can carry.
MAX_IDS_IN_ADDRESS = 100


def only_choices(kind: Job.Kind) -> list[tuple[Only, str]]:
    """What a job of the kind can be done on, in words; those that mean the same once."""
    choices: dict[str, tuple[Only, str]] = {}
    for (of, only), words in WORDS.items():
        if of == kind:
            sentence = f"All {words}" if only == "all" else words[0].upper() + words[1:]
            choices.setdefault(sentence, (only, sentence))
    return list(choices.values())


@dataclass(frozen=True, slots=True)
class Standing:
    """How a job stands: a ``state`` with an icon and a colour (see ``STATES``), one ``word`` or
    two, and what else there is to say in one ``line``."""

    state: str
    word: str
    line: str = ""


def standing(job: Job, now: Progress, moment: datetime | None = None) -> Standing:
    moment = moment or timezone.now()
    percent = f"{int(100 * now.fraction)} %"
    if job.status == Status.PAUSED:
        return Standing("paused", "Paused", f"{percent}, {now.left:,} to go")
    if not job.is_finished and not job.is_within_hours(moment) and job.hours_from is not None:
        return Standing("waiting", f"Waits for {job.hours_from:%H:%M}", f"{percent} done")
    if job.status == Status.PLANNING:
        return Standing("planning", "Planning", "Finding out which videos are meant")
    if job.status == Status.RUNNING:
        line = percent
        if now.eta_seconds is not None:
            line += f", about {rough_span_words(now.eta_seconds)} to go"
        elif now.waiting and now.done + now.waiting == now.total:
            line += ", the rest waits for another try"
        return Standing("running", "Running", line)
    return Standing(job.status, job.get_status_display().capitalize(), "")


def announcement(job: Job, now: Progress) -> str:
    """What a screen reader is told: changes with the status, each tenth, and at the end."""
    status = job.get_status_display().capitalize()
    if job.is_finished:
        troubles = f", {now.failed + now.dead:,} failed" if now.failed + now.dead else ""
        return f"{status}: {now.done:,} of {now.total:,} videos{troubles}"
    # Between its last video and its end a job is not done: the end is told once, as the end.
    percent = 10 * min(9, int(now.fraction * 10))
    return f"{status}: {percent} % done"


def again_address(job: Job) -> str:
    """The query string that asks for the same again; empty when it is too long for one."""
    scope = Scope.from_json(job.scope)
    if (
        job.kind not in Job.WORK
        or len(scope.ids) > MAX_IDS_IN_ADDRESS
        or scope.conversation is not None
    ):
        return ""
    asked: dict[str, Any] = {"kind": job.kind, "only": scope.only, **scope.filters}
    if scope.ids:
        asked["selected"] = list(scope.ids)
    if scope.limit is not None:
        asked["limit"] = scope.limit
    return urlencode(asked, doseq=True)
