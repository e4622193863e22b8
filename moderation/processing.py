"""What a job does to one video, by the kind of the job: a slow half and a fast one."""

from collections.abc import Sequence
from typing import Any, Protocol

from chat.errors import VideoError
from chat.models import Attachment
from chat.services.activity import Actor
from chat.services.fingerprinting import FingerprintService
from chat.services.renditions import Renderer
from chat.services.verification import VerificationService
from chat.services.video_service import VideoProcessingService
from moderation.deciding import DecisionProcessing
from moderation.models import Job
from moderation.scopes import RENDITIONS, Scope


class Prepared(Protocol):
    """One video's outcome before it is written."""

    @property
    def attachment(self) -> Attachment: ...
    @property
    def error(self) -> VideoError | None: ...


class Processing(Protocol):
    """See ``VideoProcessingService``, ``Renderer`` and ``FingerprintService``, which do it."""

    def prepare(self, attachment: Attachment, /) -> Prepared: ...
    def rehearse(self, attachment: Attachment, /) -> None: ...
    def given_up(self, attachment: Attachment, error: VideoError, /) -> Prepared: ...
    def record(self, prepared: Any, actor: Actor, /) -> bool: ...
    def discard(self, prepared: Any, /) -> None: ...
    def discard_unrecorded(self, prepared: Sequence[Any], /) -> None: ...


def processing_of(kind: str, scope: Scope, job: Job | None = None) -> Processing:
    """Asked for more than what is missing, a rendition is made anew; decisions take a ``job``."""
    if kind == Job.Kind.DECISIONS and job is not None:
        return DecisionProcessing(job)
    if kind == Job.Kind.FINGERPRINTS:
        return FingerprintService()
    if kind == Job.Kind.VERIFY:
        return VerificationService()
    works = RENDITIONS.get(kind)
    if works is None:
        return VideoProcessingService()
    return Renderer(works, force=scope.only != "missing")
