"""What a job is run on: asked for by a page or a command, kept as JSON in the job's row."""

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args

from chat.models import Attachment, AttachmentQuerySet, Conversation
from chat.services.renditions import POSTER, PREVIEW, STORYBOARD, RenditionWork, versions
from moderation.models import Job
from moderation.video_filters import VideoFilter

Only = Literal["missing", "failed", "outdated", "all"]
ONLY: tuple[Only, ...] = get_args(Only)
IDS_AT_ONCE = 5000  # in one query: databases bound the number of parameters

# Kinds of job that make renditions, and which.
RENDITIONS: dict[str, tuple[RenditionWork, ...]] = {
    Job.Kind.STORYBOARDS: (POSTER, STORYBOARD),
    Job.Kind.PREVIEWS: (PREVIEW,),
}

WORDS: dict[tuple[str, Only], str] = {
    (Job.Kind.METADATA, "missing"): "videos without metadata",
    (Job.Kind.METADATA, "failed"): "failed videos",
    (Job.Kind.METADATA, "outdated"): "videos processed by an older version",
    (Job.Kind.METADATA, "all"): "videos",
    (Job.Kind.THUMBNAILS, "missing"): "ready videos without a thumbnail",
    (Job.Kind.THUMBNAILS, "failed"): "failed videos",
    (Job.Kind.THUMBNAILS, "outdated"): "videos processed by an older version",
    (Job.Kind.THUMBNAILS, "all"): "videos",
    (Job.Kind.STORYBOARDS, "missing"): "ready videos without a storyboard",
    (Job.Kind.STORYBOARDS, "failed"): "videos whose storyboard failed",
    (Job.Kind.STORYBOARDS, "outdated"): "videos with a storyboard of an older version",
    (Job.Kind.STORYBOARDS, "all"): "ready videos",
    (Job.Kind.PREVIEWS, "missing"): "ready videos not yet seen to for a preview",
    (Job.Kind.PREVIEWS, "failed"): "videos whose preview failed",
    (Job.Kind.PREVIEWS, "outdated"): "videos with a preview of an older version",
    (Job.Kind.PREVIEWS, "all"): "ready videos",
    (Job.Kind.FINGERPRINTS, "missing"): "ready videos without a fingerprint",
    (Job.Kind.FINGERPRINTS, "failed"): "ready videos without a fingerprint",
    (Job.Kind.FINGERPRINTS, "outdated"): "videos with a fingerprint of an older version",
    (Job.Kind.FINGERPRINTS, "all"): "ready videos",
    (Job.Kind.VERIFY, "missing"): "videos whose files were never verified",
    (Job.Kind.VERIFY, "failed"): "videos whose files failed verification",
    (Job.Kind.VERIFY, "outdated"): "videos whose files were verified long ago",
    (Job.Kind.VERIFY, "all"): "videos",
    (Job.Kind.DECISIONS, "all"): "videos",
}


@dataclass(frozen=True, slots=True)
class Scope:
    """Which videos: those that need the work, failed at it, had it done by an older version, or
    all; narrowed by the rest.

    ``ids`` ascend; ``filters`` are the names and values of the video list's address;
    ``conversation`` is an id; ``limit`` takes the oldest so many; ``until`` is the highest id,
    which freezes what a dry run counted.
    """

    only: Only = "missing"
    ids: tuple[int, ...] = ()
    conversation: int | None = None
    filters: Mapping[str, str] = field(default_factory=dict)
    limit: int | None = None
    until: int | None = None

    def __post_init__(self) -> None:
        if self.only not in ONLY:
            raise ValueError(f"only={self.only!r} is not one of {', '.join(ONLY)}.")
        if self.limit is not None and self.limit < 1:
            raise ValueError(f"limit={self.limit} is too small: at least 1.")
        object.__setattr__(self, "ids", tuple(sorted(set(self.ids))))

    def wanted(self, kind: str) -> AttachmentQuerySet:
        """Videos that still want the work, whatever else the scope says.

        A job asks this again for what it is about to work on: a video that another job or an
        upload brought to an end meanwhile is not done twice.
        """
        attachments = Attachment.objects
        if kind in RENDITIONS:
            kinds = versions(RENDITIONS[kind])
            by_only: dict[Only, Callable[[], AttachmentQuerySet]] = {
                "missing": lambda: attachments.needing_renditions(kinds),
                "failed": lambda: attachments.failed_renditions(kinds),
                "outdated": lambda: attachments.outdated_renditions(kinds),
                "all": attachments.ready,
            }
        elif kind == Job.Kind.FINGERPRINTS:
            by_only = {
                "missing": attachments.needing_fingerprint,
                "failed": attachments.needing_fingerprint,
                "outdated": attachments.outdated_fingerprint,
                "all": attachments.ready,
            }
        elif kind == Job.Kind.DECISIONS:  # the removed ones too: they may be restored
            by_only = dict.fromkeys(ONLY, attachments.videos)
        elif kind == Job.Kind.VERIFY:
            by_only = {
                "missing": attachments.never_verified,
                "failed": attachments.failed_verification,
                "outdated": attachments.verified_long_ago,
                "all": attachments.processable,
            }
        else:
            metadata = kind == Job.Kind.METADATA
            by_only = {
                "missing": attachments.needing_metadata
                if metadata
                else attachments.needing_thumbnail,
                "failed": attachments.failed,
                "outdated": attachments.outdated,
                "all": attachments.processable,
            }
        return by_only[self.only]()

    def queryset(self, kind: str) -> AttachmentQuerySet:
        """The videos in the scope now, whatever ``ids`` and ``limit`` say, in no order.

        Raises:
            ValueError: a filter's value is not valid; leaving it out would widen the scope.
        """
        videos = self.wanted(kind)
        if self.conversation is not None:
            videos = videos.filter(conversation_id=self.conversation)
        if self.until is not None:
            videos = videos.filter(pk__lte=self.until)
        if self.filters:
            videos = videos.filter(pk__in=self._filter(Attachment.objects.all()).qs.values("pk"))
        return videos

    def count(self, kind: str) -> int:
        """How many videos are in the scope now.

        Raises:
            ValueError: as ``queryset``.
        """
        count = sum(part.count() for part in self._parts(kind, 0))
        return count if self.limit is None else min(count, self.limit)

    def next_ids(self, kind: str, after: int, count: int) -> list[int]:
        """The first ``count`` ids above ``after``, ascending; fewer only when there are no more.
        ``limit`` is the caller's business.

        Raises:
            ValueError: as ``queryset``.
        """
        ids: list[int] = []
        for part in self._parts(kind, after):
            left = part.order_by("pk").values_list("pk", flat=True)[: count - len(ids)]
            ids.extend(left)
            if len(ids) >= count:
                break
        return ids

    def frozen_at(self, until: int) -> "Scope":
        """The same without attachments that come later."""
        return replace(self, until=until)

    def _parts(self, kind: str, after: int) -> Iterator[AttachmentQuerySet]:
        """The videos above ``after``: one queryset, or by ``ids`` one for so many ids."""
        videos = self.queryset(kind).filter(pk__gt=after)
        if not self.ids:
            yield videos
        for start in range(bisect_right(self.ids, after), len(self.ids), IDS_AT_ONCE):
            yield videos.filter(pk__in=self.ids[start : start + IDS_AT_ONCE])

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
            wrong = [f"{name}: {' '.join(errors)}" for name, errors in narrowed.errors.items()]
            raise ValueError(f"The filters are not valid. {'; '.join(wrong)}")
        return narrowed

    def to_json(self) -> dict[str, Any]:
        return {
            "only": self.only,
            "ids": list(self.ids),
            "conversation": self.conversation,
            "filters": dict(self.filters),
            "limit": self.limit,
            "until": self.until,
        }

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> "Scope":
        return cls(**{**stored, "ids": tuple(stored.get("ids", ()))})
