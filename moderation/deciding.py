"""Decisions on everything that matches: the same verdict on each video of a job."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chat.errors import VideoError
from chat.models import Attachment
from chat.services.activity import Actor
from moderation.decisions import decide_for_job
from moderation.models import Chunk, Job
from moderation.verdict import Outcome, Verdict


@dataclass(slots=True)
class Due:
    """A video to decide on; ``skip`` says afterwards why nothing was decided."""

    attachment: Attachment
    error: VideoError | None = None
    skip: str = ""


class DecisionProcessing:
    """As ``moderation.processing`` wants it.  Nothing is slow: what was prepared is decided on
    together, with the first that is recorded, in the transaction of the engine."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.verdict = Verdict(**job.params)
        self.due: dict[int, Due] = {}

    def prepare(self, attachment: Attachment) -> Due:
        due = self.due[attachment.pk] = Due(attachment)
        return due

    def rehearse(self, attachment: Attachment) -> None:
        """Nothing to try."""

    def given_up(self, attachment: Attachment, error: VideoError) -> Due:
        return Due(attachment, error)

    def record(self, due: Due, actor: Actor) -> bool:
        """False with a ``skip`` where nothing was decided."""
        if due.attachment.pk in self.due:
            self._decide(actor)
        return not due.skip

    def _decide(self, actor: Actor) -> None:
        outcome = decide_for_job(self.due, self.verdict, self.job, actor)
        for pk, skip in skips(outcome).items():
            self.due[pk].skip = skip
        self.due = {}

    def discard(self, due: Due) -> None:
        self.due.pop(due.attachment.pk, None)

    def discard_unrecorded(self, due: Sequence[Due]) -> None:
        self.due = {}


def skips(outcome: Outcome) -> Mapping[int, str]:
    """{attachment id: Chunk.Skip} of those that were not decided on."""
    return (
        dict.fromkeys(outcome.gone, Chunk.Skip.GONE)
        | dict.fromkeys(outcome.unchanged, Chunk.Skip.NOT_NEEDED)
        | dict.fromkeys(outcome.overtaken, Chunk.Skip.DECIDED)
    )
