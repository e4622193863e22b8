"""What is decided and why, and what became of it."""

from dataclasses import asdict, dataclass, field
from typing import Any
from uuid import UUID

from chat.models import ActivityLog
from chat.moderated import Reason
from moderation.models import Decision

Action = Decision.Action

AGAINST = (Action.QUARANTINE, Action.REMOVE)
LOGGED_AS = {
    Action.QUARANTINE: ActivityLog.Action.ATTACHMENT_QUARANTINED,
    Action.RESTORE: ActivityLog.Action.ATTACHMENT_RESTORED,
    Action.REMOVE: ActivityLog.Action.ATTACHMENT_REMOVED,
    Action.DISMISS: ActivityLog.Action.REPORTS_DISMISSED,
    Action.HOLD: ActivityLog.Action.HOLD_SET,
    Action.RELEASE: ActivityLog.Action.HOLD_RELEASED,
}
SETTLING = (Action.QUARANTINE, Action.RESTORE, Action.REMOVE, Action.DISMISS)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is decided, and why.

    ``reason`` (a ``Reason``) goes with quarantine and removal alone.  ``hold_same_bytes``: what
    has the same SHA-256 and is sent later is quarantined at once; restoring lifts that.

    Raises:
        ValueError: a quarantine or a removal without a reason.
    """

    action: str
    reason: str = ""
    internal_note: str = ""
    uploader_note: str = ""
    hold_same_bytes: bool = True

    def __post_init__(self) -> None:
        if self.action not in LOGGED_AS:
            raise ValueError(f"action={self.action!r} is not one of {', '.join(LOGGED_AS)}.")
        if self.action in AGAINST and self.reason not in Reason.values:
            raise ValueError(f"reason={self.reason!r} is not one of {', '.join(Reason.values)}.")
        if self.action not in AGAINST:
            object.__setattr__(self, "reason", "")

    @property
    def touches_contents(self) -> bool:
        """Whether it changes what becomes of the same bytes when they are sent later."""
        against = self.action in AGAINST and self.hold_same_bytes
        return against or self.action == Action.RESTORE

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(slots=True)
class Outcome:
    """What became of a decision on several attachments.

    ``overtaken`` holds the newest decision on each that somebody else decided on meanwhile (None
    where it is not known); ``unchanged`` the ids of those that are so already, ``gone`` of those
    that do not exist.
    """

    batch: UUID
    decided: list[Decision] = field(default_factory=list)
    overtaken: dict[int, Decision | None] = field(default_factory=dict)
    unchanged: list[int] = field(default_factory=list)
    gone: list[int] = field(default_factory=list)

    def add(self, other: "Outcome") -> None:
        self.decided += other.decided
        self.overtaken |= other.overtaken
        self.unchanged += other.unchanged
        self.gone += other.gone


class DecidedMeanwhile(Exception):
    """Somebody else decided on the attachment first; nothing was written."""

    def __init__(self, latest: Decision | None) -> None:
        self.latest = latest
        super().__init__(str(latest or "changed meanwhile"))
