"""Wake-ups: what the queue carries.  Losing one, or having many, changes nothing but time."""

import platform
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from huey import crontab
from huey.contrib.djhuey import close_db, db_periodic_task, db_task, on_startup, periodic_task

from chat.models import Attachment
from chat.services import orphans, scratch, uploads
from chat.services.renditions import WORKS, missing
from chat.services.video_service import VideoProcessingService
from moderation import backfill
from moderation.chunks import lease, owner_name, release_dead
from moderation.models import Chunk, Job, WorkerSeen


def workers() -> int:
    consumer: dict[str, Any] = settings.HUEY["consumer"]  # type: ignore[assignment]
    return int(consumer["workers"])


def wake(job: Job) -> None:
    """Have the consumer plan and work on the job, once the caller's transaction is committed."""
    job_id = job.pk
    if job.status == Job.Status.PLANNING:
        transaction.on_commit(lambda: enqueue(job_id, 1))
    elif job.status == Job.Status.RUNNING:
        transaction.on_commit(lambda: enqueue(job_id, workers()))


def enqueue(job_id: int, times: int) -> None:
    for _ in range(times):
        work(job_id)


@db_task()
def work(job_id: int) -> None:
    """A slice of work; asks for the next one as long as there is more."""
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        return
    if job.status == Job.Status.PLANNING:
        backfill.plan(job, backfill.SLICE_SECONDS)
        wake(job)
    elif backfill.work_slice(job_id, owner_name()):
        enqueue(job_id, 1)


@db_task()
def make_renditions(attachment_id: int, after: str = "") -> None:
    """The next kind of rendition that the video lacks; asks for the one after it."""
    attachment = Attachment.objects.filter(pk=attachment_id).first()
    if attachment is None:
        return
    names = [work.name for work in WORKS]
    left = missing(attachment, WORKS[names.index(after) + 1 :] if after else WORKS)
    if left:
        VideoProcessingService().make_renditions(attachment, works=left[:1])
    if left[1:]:
        make_renditions(attachment_id, left[0].name)


@db_periodic_task(crontab(minute="*"))
def sweep_each_minute() -> None:
    sweep()


@db_periodic_task(crontab(minute="7"))
def sweep_abandoned_uploads() -> None:
    uploads.sweep_abandoned()


@periodic_task(crontab(minute="37"))
def sweep_scratch() -> None:
    """Of this machine; elsewhere each new media helper does it."""
    scratch.sweep_scratch()


@db_periodic_task(crontab(hour="3", minute="17"))
def sweep_orphans() -> None:
    orphans.sweep_orphans()


@db_periodic_task(crontab(minute="*"))
def tell_each_minute() -> None:
    """Shown on the health page: scheduler, queue and a worker are alive."""
    WorkerSeen.tell(platform.node())


@on_startup()
@close_db
def tell_on_startup() -> None:
    WorkerSeen.tell(platform.node())


@on_startup()
@close_db
def sweep_on_startup() -> None:
    """Go on at once with what the last consumer left."""
    sweep(timedelta(0))


def sweep(patience: timedelta | None = None) -> int:
    """Wake the jobs whose worker is gone, or that nobody has touched for ``patience`` (a lease
    by default), their wake-up having been lost; how many."""
    release_dead()
    now = timezone.now()
    abandoned = Chunk.objects.filter(
        job=OuterRef("pk"), cursor__lt=F("size"), lease_until__lte=now
    ).exclude(owner="")
    touched = Coalesce(Max("chunks__lease_until"), "started_at", "created_at")
    silent = now - (lease() if patience is None else patience)
    jobs = (
        Job.objects.filter(status__in=[Job.Status.PLANNING, Job.Status.RUNNING])
        .annotate(touched=touched)
        .filter(Exists(abandoned) | Q(touched__lte=silent))
    )
    for job in jobs:
        wake(job)
    return len(jobs)
