"""What a job is run on: asked for by a page or a command, kept as JSON in the job's row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from chat.models import Attachment, AttachmentQuerySet, Conversation
from chat.services.renditions import POSTER, PREVIEW, STORYBOARD, RenditionWork, versions
from moderation.filters import VideoFilter
from moderation.models import Job

Only = Literal["missing", "failed", "all"]
ONLY: tuple[Only, ...] = get_args(Only)

# Kinds of job that make renditions, and which.
RENDITIONS: dict[str, tuple[RenditionWork, ...]] = {
    Job.Kind.STORYBOARDS: (POSTER, STORYBOARD),
    Job.Kind.PREVIEWS: (PREVIEW,),
}

WORDS: dict[tuple[str, Only], str] = {
    (Job.Kind.METADATA, "missing"): "videos without metadata",
    (Job.Kind.METADATA, "failed"): "failed videos",
    (Job.Kind.METADATA, "all"): "videos",
    (Job.Kind.THUMBNAILS, "missing"): "ready videos without a thumbnail",
    (Job.Kind.THUMBNAILS, "failed"): "failed videos",
    (Job.Kind.THUMBNAILS, "all"): "videos",
    (Job.Kind.STORYBOARDS, "missing"): "ready videos without a storyboard",
    (Job.Kind.STORYBOARDS, "failed"): "videos whose storyboard failed",
    (Job.Kind.STORYBOARDS, "all"): "ready videos",
    (Job.Kind.PREVIEWS, "missing"): "ready videos not yet seen to for a preview",
    (Job.Kind.PREVIEWS, "failed"): "videos whose preview failed",
    (Job.Kind.PREVIEWS, "all"): "ready videos",
    (Job.Kind.FINGERPRINTS, "missing"): "ready videos without a fingerprint",
    (Job.Kind.FINGERPRINTS, "failed"): "ready videos without a fingerprint",
    (Job.Kind.FINGERPRINTS, "all"): "ready videos",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which videos: those that need the work, failed at it, or all; narrowed by the rest.

    ``filters`` are the names and values of the video list's address; ``conversation`` is an id;
    ``limit`` takes the oldest so many.
    """

    only: Only = "missing"
    ids: tuple[int, ...] = ()
    conversation: int | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None

    def __post_init__(self) -> None:
        if self.only not in ONLY:
            raise ValueError(f"only={self.only!r} is not one of {', '.join(ONLY)}.")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit={self.limit} is too small: at least 1.")

    def wanted(self, kind: str) -> AttachmentQuerySet:
        """Videos that still want the work, whatever else the scope says.

        A job asks this again for what it is about to work on: a video that another job or an
        upload brought to an end meanwhile is not done twice.
        """
        if kind in RENDITIONS:
            kinds = versions(RENDITIONS[kind])
            if self.only == "all":
                return Attachment.objects.ready()
            if self.only == "failed":
                return Attachment.objects.failed_renditions(kinds)
            return Attachment.objects.needing_renditions(kinds)
        if kind == Job.Kind.FINGERPRINTS:
            every = Attachment.objects.fingerprintable()
            return every if self.only == "all" else Attachment.objects.needing_fingerprint()
        if self.only == "all":
            return Attachment.objects.processable()
        if self.only == "failed":
            return Attachment.objects.failed()
        if kind == Job.Kind.THUMBNAILS:
            return Attachment.objects.needing_thumbnail()
        return Attachment.objects.needing_metadata()

    def queryset(self, kind: str) -> AttachmentQuerySet:
        """The videos in the scope now, not yet limited to ``limit``, in no order.

        Raises:
            ValueError: a filter's value is not valid; leaving it out would widen the scope.
        """
        videos = self.wanted(kind)
        if self.ids:
            videos = videos.filter(pk__in=self.ids)
        if self.conversation is not None:
            videos = videos.filter(conversation_id=self.conversation)
        if self.filters:
            videos = videos.filter(pk__in=self._filter(Attachment.objects.all()).qs.values("pk"))
        return videos

    def words(self, kind: str) -> str:
        """The scope as a person reads it: ``failed videos in “Holiday”, codec is VP9``."""
        words = WORDS[kind, self.only]
        if self.ids:
            chosen = f"{len(self.ids):,} selected "
            words = chosen + (words.replace("videos", "video", 1) if len(self.ids) == 1 else words)
        elif self.only == "all":
            words = "all " + words
        if self.conversation is not None:
            conversation = Conversation.objects.filter(pk=self.conversation).first()
            words += f" in “{conversation or self.conversation}”"
        for _name, chip in self._filter(Attachment.objects.none()).chips if self.filters else ():
            words += f", {chip}"
        if self.limit is not None:
            words += f", at most {self.limit:,}"
        longest = Job._meta.get_field("scope_words").max_length or 0
        return words if len(words) <= longest else words[: longest - 1] + "…"

    def _filter(self, videos: AttachmentQuerySet) -> VideoFilter:
        narrowed = VideoFilter(dict(self.filters), queryset=videos)
        if not narrowed.is_valid():
            raise ValueError(f"The filters are not valid: {dict(narrowed.errors)}.")
        return narrowed

    def to_json(self) -> dict[str, Any]:
        return {
            "only": self.only,
            "ids": list(self.ids),
            "conversation": self.conversation,
            "filters": dict(self.filters),
            "limit": self.limit,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Scope":
        return cls(**{**stored, "ids": tuple(stored.get("ids", ()))})
