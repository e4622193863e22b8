"""A worker on its chunk: a handful of items at a time, each handful committed with the cursor that
says it is done."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from chat.errors import VideoError
from chat.models import Attachment
from chat.services import activity
from chat.services.activity import Actor
from chat.services.interruption import Interrupted, interruptible
from chat.services.video_service import VideoProcessingService
from moderation.chunks import Claim, LostChunk, Tally
from moderation.deciding import Due
from moderation.models import Chunk, Failure, Job
from moderation.pace import Turns
from moderation.processing import Processing, processing_of
from moderation.scopes import Scope

CHECKPOINT_SECONDS = 1.0
STEERING_SECONDS = 0.5  # between looks at the job while a file is worked on
# Outcomes that say nothing about the file: going on would only fail every other one as well.
HALTING = {
    "media_tools_missing", "media_sandbox_missing", "fingerprints_missing", "no_room",
    "storage_missing",
}  # fmt: skip
# Those that may pass but had their second chance already (see ``with_second_chance``).
TRIED_TWICE = {"time_limit"}


class Halted(Exception):
    """The machine, not a file, keeps the job from going on; the message says what."""


@dataclass(slots=True)
class Worker:
    """Works on one claimed chunk of one job."""

    job: Job
    claim: Claim
    scope: Scope = field(init=False)
    processing: Processing = field(init=False)
    turns: Turns = field(init=False, default_factory=Turns)
    has_begun_next: bool = field(init=False, default=False)  # the first item of ``next_ids``

    def __post_init__(self) -> None:
        self.scope = Scope.from_json(self.job.scope)
        self.processing = processing_of(self.job.kind, self.scope, self.job)

    def may_go_on(self) -> bool:
        """Read the job's row again: whether it is running, now, and has room for this worker."""
        job = Job.objects.filter(pk=self.job.pk, status=Job.Status.RUNNING).first()
        now = timezone.now()
        if job is None or not job.is_within_hours(now):
            return False
        self.job = job
        if job.workers is None:
            return True
        held = Chunk.objects.held(now).filter(job=job).order_by("pk")
        first = held.values_list("pk", flat=True)[: job.workers]
        return self.claim.chunk_id in list(first)

    def is_called_off(self) -> bool:
        """What a worker asks while a file takes its time."""
        return not (self.may_go_on() and self.claim.keeps())

    def checkpoint(self, deadline: float) -> None:
        """Do the next items, for about ``CHECKPOINT_SECONDS``, and commit them.

        Rows are not marked as processing meanwhile: the lease says so already, and a mark would
        cost another transaction and outlive a killed worker.
        """
        self.has_begun_next = False
        ids = self.claim.next_ids()
        ids = ids[: self.turns.take(self.job, len(ids), deadline)]
        if not ids:
            return
        started = time.monotonic()
        wanted = self.scope.wanted(self.job.kind).in_bulk(ids)
        prepared: list[Any] = []
        count, halt = 0, None
        try:
            with interruptible(self.is_called_off, STEERING_SECONDS, asked=True):
                for number, pk in enumerate(self._here(ids)):
                    self._read_ahead(ids[number : number + 2], wanted, deadline)
                    each = self._prepare(wanted[pk]) if pk in wanted else None
                    if each and each.error and each.error.code in HALTING:
                        halt = each.error
                        break
                    if each:
                        prepared.append(each)
                    count += 1
                    now = time.monotonic()
                    if now >= started + CHECKPOINT_SECONDS or (
                        now >= deadline and not self.has_begun_next
                    ):
                        break
        except Interrupted:
            pass  # what came before it counts
        except BaseException:
            for each in prepared:  # without a question to the database, which may be the trouble
                self.processing.discard(each)
            raise
        busy_seconds = time.monotonic() - started
        try:
            if count:
                tally = self._commit(ids[:count], prepared, busy_seconds)
                self.claim.advanced(tally)
            self.turns.used(self.job, len(ids), count, busy_seconds)
        except BaseException:
            self.processing.discard_unrecorded(prepared)
            raise
        if halt:
            raise Halted(f"{halt.outcome.operator} {halt.detail}".strip())

    def _here(self, ids: Sequence[int]) -> Sequence[int]:
        """Of the next items those to end with this checkpoint.  One is left that is read already
        while they are committed; it is of those that are set apart should this worker be lost."""
        goes_on = self.claim.cursor + len(ids) < len(self.claim.attachment_ids)
        return ids[:-1] if self._reader and goes_on and len(ids) > 1 else ids

    @property
    def _reader(self) -> VideoProcessingService | None:
        """What reads ahead, for kinds and jobs that want it."""
        if self.claim.isolated or self.job.items_per_second is not None:
            return None  # the next item's turn is not known to come
        return self.processing if isinstance(self.processing, VideoProcessingService) else None

    def _read_ahead(
        self, ids: Sequence[int], wanted: Mapping[int, Attachment], deadline: float
    ) -> None:
        """Of an item and the one after it: begin both, the other only if it is done in time."""
        self.has_begun_next = False
        if reader := self._reader:
            for pk in ids if time.monotonic() < deadline else ids[:1]:
                if pk in wanted:
                    reader.expect(wanted[pk])
                    self.has_begun_next = pk != ids[0]

    def close(self) -> None:
        """Call off what was begun ahead."""
        if isinstance(self.processing, VideoProcessingService):
            self.processing.close()

    def _prepare(self, attachment: Attachment) -> Any:
        if self.claim.gives_up:
            detail = f"Workers that ended at it: {self.claim.attempts}."
            return self.processing.given_up(attachment, VideoError("worker_lost", detail))
        return self.processing.prepare(attachment)

    def _commit(self, ids: Sequence[int], prepared: Sequence[Any], busy_seconds: float) -> Tally:
        """Write effects, failures and the cursor in one transaction; fence first.

        Raises:
            LostChunk: the claim holds no longer; nothing is written.
        """
        tally = Tally()
        by_id = {each.attachment.pk: each for each in prepared}
        failures: list[Failure] = []
        with transaction.atomic(), activity.written_together():
            self.claim.hold()
            tries = self._tries(ids)
            rows = self.scope.wanted(self.job.kind).filter(pk__in=by_id)
            # Locked in one order.  What was removed or done by others meanwhile is not done twice.
            posters = dict(rows.order_by("pk").select_for_update().values_list("pk", "thumbnail"))
            left = [pk for pk in ids if pk not in posters]
            reasons = skip_reasons_of(left)
            for pk in ids:
                each = by_id.get(pk)
                if pk not in posters or each is None:
                    if each is not None:
                        self.processing.discard(each)
                    tally.skip(reasons.get(pk, Chunk.Skip.NOT_NEEDED), pk)
                elif failure := self._failure(each, tries.get(pk, 0) + 1):
                    if failure.is_final and not self._record(each, posters[pk]):
                        tally.skip(Chunk.Skip.GONE, pk)
                        continue
                    failures.append(failure)
                    tally.dead += failure.is_dead
                    tally.failed += failure.is_final and not failure.is_dead
                    tally.waiting += not failure.is_final
                elif self._record(each, posters[pk]):
                    tally.ready += 1
                else:
                    tally.skip(each.skip if isinstance(each, Due) else Chunk.Skip.GONE, pk)
            if (tries or tally.waiting) and self._is_over():
                if tries:  # they were counted when the job ended: see ``end_tries``
                    raise LostChunk
                for failure in failures:  # nobody tries these again
                    failure.is_final, failure.next_try_at = True, None
                tally.failed, tally.waiting = tally.failed + tally.waiting, 0
            self._write_failures(failures, set(tries))
            self.claim.advance(tally, busy_seconds)
        return tally

    def _record(self, prepared: Any, poster: str) -> bool:
        prepared.attachment.thumbnail.name = poster
        return self.processing.record(prepared, Actor(job_id=self.job.pk))

    def _is_over(self) -> bool:
        """Whether the job was cancelled meanwhile; the job is locked: what waits in it is changed
        by one at a time."""
        status = Job.objects.locked().values_list("status", flat=True).get(pk=self.job.pk)
        return status not in Job.UNFINISHED

    def _tries(self, ids: Sequence[int]) -> Mapping[int, int]:
        """Of those that failed before: {attachment id: tries}."""
        if not self.claim.is_retry:
            return {}
        failures = Failure.objects.filter(job=self.job, attachment__in=ids)
        return dict(failures.values_list("attachment_id", "attempts"))

    def _failure(self, prepared: Any, tries: int) -> Failure | None:
        """The row that tells of it: to be tried again, failed or dead; None for a success."""
        error: VideoError | None = prepared.error
        if error is None:
            return None
        pauses = settings.JOB_RETRY_SECONDS
        may_pass = not error.permanent and error.code not in TRIED_TWICE
        again = may_pass and tries <= len(pauses)
        return Failure(
            job=self.job,
            attachment=prepared.attachment,
            code=error.code,
            detail=error.detail[:2000],
            attempts=tries,
            is_final=not again,
            is_dead=(may_pass and not again) or self.claim.gives_up,
            next_try_at=timezone.now() + timedelta(seconds=pauses[tries - 1]) if again else None,
        )

    def _write_failures(self, failures: Sequence[Failure], tried_before: set[int]) -> None:
        Failure.objects.bulk_create(
            failures,
            update_conflicts=True,
            unique_fields=["job", "attachment"],
            update_fields=[
                "code", "detail", "attempts", "is_final", "is_dead", "next_try_at", "created_at",
            ],
        )  # fmt: skip
        if over := tried_before - {failure.attachment_id for failure in failures}:
            Failure.objects.filter(job=self.job, attachment__in=over).delete()


def skip_reasons_of(ids: Sequence[int]) -> dict[int, str]:
    """{id: Chunk.Skip} of attachments that are not wanted (any more)."""
    if not ids:
        return {}
    removed = Attachment.Visibility.REMOVED
    there = dict(Attachment.objects.filter(pk__in=ids).values_list("pk", "visibility"))
    skips = Chunk.Skip
    return {
        pk: skips.GONE
        if pk not in there
        else skips.REMOVED
        if there[pk] == removed
        else skips.NOT_NEEDED
        for pk in ids
    }
