"""What is made of a ready video beside its poster: "wanted minus stored" is the work there is.

Each kind of work has a slow half, ``prepare`` (media and storage, no row is written), and a fast
one, ``record`` (one short transaction), as processing has.  Both may be repeated or interrupted
anywhere: what is stored and named by no row is deleted by ``sweep_orphans``.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from django.core.files.base import File
from django.core.files.storage import Storage
from django.db import transaction

from chat.errors import VideoError
from chat.models import ActivityLog, Attachment, stored_name
from chat.rendition import Rendition
from chat.services import activity
from chat.services.activity import SYSTEM, Actor
from chat.services.local_files import delete_files, storage_failure
from chat.services.media_limits import MediaLimits, with_second_chance
from chat.services.rendition_makers import Made, make_poster, make_preview, make_storyboard
from chat.services.scratch import scratch_folder

logger = logging.getLogger(__name__)
Kind = Rendition.Kind
FOLDER = "renditions"


@dataclass(frozen=True, slots=True)
class RenditionFormat:
    """A kind of rendition as it is stored; raise ``version`` when it is made better."""

    kind: str
    extension: str
    content_type: str
    version: int = 1


@dataclass(frozen=True, slots=True)
class RenditionWork:
    """Formats that are made together, and how."""

    name: str
    formats: tuple[RenditionFormat, ...]
    make: Callable[[Attachment, Path, MediaLimits], Made]
    limits: Callable[[MediaLimits], MediaLimits]

    @property
    def versions(self) -> Mapping[str, int]:
        return {each.kind: each.version for each in self.formats}


POSTER = RenditionWork(
    "poster",
    (RenditionFormat(Kind.POSTER_WEBP, ".webp", "image/webp"),),
    make_poster,
    lambda limits: limits,
)
STORYBOARD = RenditionWork(
    "storyboard",
    (
        RenditionFormat(Kind.STORYBOARD, ".jpg", "image/jpeg"),
        RenditionFormat(Kind.STORYBOARD_MAP, ".vtt", "text/vtt"),
    ),
    make_storyboard,
    lambda limits: limits.of_work(limits.storyboard),
)
PREVIEW = RenditionWork(
    "preview",
    (RenditionFormat(Kind.PREVIEW, ".mp4", "video/mp4"),),
    make_preview,
    lambda limits: limits.of_work(limits.preview),
)
WORKS = (POSTER, STORYBOARD, PREVIEW)


def versions(works: Collection[RenditionWork]) -> dict[str, int]:
    """{kind: version} of everything that these works make."""
    return {each.kind: each.version for work in works for each in work.formats}


def wanted(attachment: Attachment) -> dict[str, int]:
    """{kind: version} of what there should be."""
    return versions(WORKS) if attachment.is_ready else {}


def seen_to(attachment: Attachment) -> dict[str, int]:
    """{kind: version} of what is stored, or known to be of no use or not to be had."""
    rows = Rendition.objects.filter(attachment_id=attachment.pk)
    return dict(rows.values_list("kind", "pipeline_version"))


def missing(attachment: Attachment, works: Sequence[RenditionWork]) -> list[RenditionWork]:
    """Those of the works of which something is wanted and not seen to."""
    have, want = seen_to(attachment), wanted(attachment)
    return [
        work
        for work in works
        if any(have.get(each.kind, 0) < want.get(each.kind, 0) for each in work.formats)
    ]


@dataclass(frozen=True, slots=True)
class WorkDone:
    """What became of one kind of work: unsaved rows (files stored), or the error."""

    work: RenditionWork
    rows: tuple[Rendition, ...] = ()
    placeholder: str = ""
    error: VideoError | None = None


@dataclass(frozen=True, slots=True)
class PreparedRenditions:
    """An attachment's renditions before their rows are written."""

    attachment: Attachment
    done: tuple[WorkDone, ...] = ()
    error: VideoError | None = None  # the first

    @property
    def files(self) -> set[str]:
        return {row.file.name for each in self.done for row in each.rows if row.file.name}


@dataclass(frozen=True, slots=True)
class Renderer:
    """Makes the renditions of some kinds of work; ``force``: also those that are there."""

    works: Sequence[RenditionWork] = WORKS
    force: bool = False
    limits: MediaLimits = field(default_factory=MediaLimits.from_settings)

    def prepare(self, attachment: Attachment) -> PreparedRenditions:
        """The slow half: make and store the files; an error is part of the result.  Follow with
        ``record`` or ``discard``."""
        works = missing(attachment, self.works)
        if self.force and attachment.is_ready:
            works = list(self.works)
        done: list[WorkDone] = []
        try:
            done.extend(self._do(work, attachment) for work in works)
        except BaseException:
            self.discard(PreparedRenditions(attachment, tuple(done)))
            raise
        error = next((each.error for each in done if each.error), None)
        return PreparedRenditions(attachment, tuple(done), error)

    def rehearse(self, attachment: Attachment) -> None:
        """Make everything and store nothing, to see how long it takes.

        Raises:
            VideoError: why there is none.
        """
        for work in missing(attachment, self.works):
            with scratch_folder() as scratch:
                work.make(attachment, scratch, work.limits(self.limits))

    def given_up(self, attachment: Attachment, error: VideoError) -> PreparedRenditions:
        """The result for a video on which the workers ended: not tried again."""
        done = tuple(WorkDone(work, error=error) for work in missing(attachment, self.works))
        return PreparedRenditions(attachment, done, error)

    def _do(self, work: RenditionWork, attachment: Attachment) -> WorkDone:
        try:
            return with_second_chance(
                work.limits(self.limits), lambda limits: make(work, attachment, limits)
            )
        except VideoError as error:
            logger.info(
                "attachment %s: no %s: %s (%s)", attachment.pk, work.name, error.code, error.detail
            )
            return WorkDone(work, error=error)

    def record(self, prepared: PreparedRenditions, actor: Actor = SYSTEM) -> bool:
        """The fast half: write rows and activity entry in the caller's transaction.

        Returns False, with nothing written and the files deleted, when the video is gone.  Files
        that are replaced are deleted after commit.
        """
        attachment = prepared.attachment
        ready = Attachment.objects.ready().select_for_update().filter(pk=attachment.pk)
        thumbnails = ready.values_list("thumbnail", flat=True)
        if not thumbnails:
            self.discard(prepared)
            return False
        have = {row.kind: row for row in Rendition.objects.filter(attachment=attachment)}
        kinds: list[str] = []
        for each in prepared.done:
            if each.work is POSTER and thumbnails[0] != (attachment.thumbnail.name or ""):
                delete_files([row.file for row in each.rows])  # of a poster that was replaced
            elif self._is_superfluous(each, have):
                delete_files([row.file for row in each.rows])  # another worker was faster
            elif not each.error or each.error.permanent:
                write(attachment, each, have)
                kinds += [] if each.error else [row.kind for row in each.rows]
        if kinds or prepared.error:
            activity.record(
                ActivityLog.Action.RENDITIONS_MADE,
                actor,
                attachment,
                outcome=outcome_of(prepared.error),
                details={"kinds": kinds}
                | ({"code": prepared.error.code} if prepared.error else {}),
            )
        return True

    def _is_superfluous(self, done: WorkDone, have: Mapping[str, Rendition]) -> bool:
        if self.force and not done.error:
            return False
        return all(
            each.kind in have and have[each.kind].pipeline_version >= each.version
            for each in done.work.formats
        )

    def discard(self, prepared: PreparedRenditions) -> None:
        """Undo ``prepare``: delete the files that it stored."""
        delete_files([row.file for each in prepared.done for row in each.rows])

    def discard_unrecorded(self, prepared: Sequence[PreparedRenditions]) -> None:
        """As ``discard``, where it is not known whether ``record`` was committed."""
        for each in prepared:
            named = Rendition.objects.filter(file__in=each.files)
            kept = set(named.values_list("file", flat=True)) if each.files else set()
            delete_files(
                [row.file for done in each.done for row in done.rows if row.file.name not in kept]
            )


def make(work: RenditionWork, attachment: Attachment, limits: MediaLimits) -> WorkDone:
    """Do the work, store its files and look at what was stored.

    Raises:
        VideoError: why there is nothing; nothing is left stored then.
    """
    rows: list[Rendition] = []
    try:
        with scratch_folder() as scratch:
            made = work.make(attachment, scratch, limits)
            files = {each.kind: each for each in made.files}
            for each in work.formats:
                row = Rendition(
                    attachment=attachment, kind=each.kind, pipeline_version=each.version
                )
                rows.append(row)
                if each.kind not in files:
                    continue
                file = files[each.kind]
                row.content_type = each.content_type
                row.width, row.height = file.width, file.height
                row.size = file.path.stat().st_size
                row.file.name = store(row.file.storage, file.path, each.extension)
                file.check(row.file)
    except BaseException:
        delete_files([row.file for row in rows])
        raise
    return WorkDone(work, tuple(rows), made.placeholder)


def store(storage: Storage, path: Path, extension: str) -> str:
    """Keep the file under a name of our own; returns the storage name.

    Raises:
        VideoError: ``no_room`` or ``storage_error``.
    """
    try:
        with path.open("rb") as file:
            return storage.save(stored_name(FOLDER, extension), File(file))
    except OSError as error:
        raise storage_failure(error) from error


def write(attachment: Attachment, done: WorkDone, have: Mapping[str, Rendition]) -> None:
    """Write the rows of one kind of work in the caller's transaction."""
    rows = done.rows or tuple(
        Rendition(
            attachment=attachment,
            kind=each.kind,
            pipeline_version=each.version,
            failure_code=done.error.code if done.error else "",
            failure_detail=done.error.detail[:2000] if done.error else "",
        )
        for each in done.work.formats
    )
    for row in rows:
        if old := have.get(row.kind):
            row.pk = old.pk
            delete_after_commit([old])
        row.save(force_insert=old is None, force_update=old is not None)
    if done.placeholder:
        attachment.placeholder = done.placeholder
        attachment.write(["placeholder"])


def forget(attachment: Attachment, work: RenditionWork) -> None:
    """In the caller's transaction: what this work made is no longer true; it is wanted again."""
    rows = Rendition.objects.filter(attachment=attachment, kind__in=versions([work]))
    delete_after_commit(list(rows))
    rows.delete()


def delete_after_commit(rows: Sequence[Rendition]) -> None:
    transaction.on_commit(lambda: delete_files([row.file for row in rows]), robust=True)


def outcome_of(error: VideoError | None) -> str:
    return ActivityLog.Outcome.FAILED if error else ActivityLog.Outcome.OK
