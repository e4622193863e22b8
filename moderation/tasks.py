"""Wake-ups: what the queue carries.  Losing one, or having many, changes nothing but time."""

from datetime import timedelta

from django.conf import settings
from django.db import transaction
from django.db.models import Exists, F, Max, OuterRef, Q
from django.db.models.functions import Coalesce
from django.utils import timezone
from huey import crontab

from chat.models import Attachment
from chat.services import orphans, uploads
from chat.services.renditions import WORKS, missing
from chat.services.video_service import VideoProcessingService
from moderation import backfill
from moderation.chunks import lease, owner_name, release_dead
from moderation.models import Chunk, Job
from moderation.queues import JOBS, UPLOADS, on_startup, periodic_task, task


def workers() -> int:
    return settings.QUEUE_WORKERS["jobs"]


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


@task(JOBS)
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


@task(UPLOADS)
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


@periodic_task(crontab(minute="*"), apart=timedelta(seconds=30))
def sweep_each_minute() -> None:
    sweep()


@periodic_task(crontab(minute="7"), apart=timedelta(minutes=30))
def sweep_abandoned_uploads() -> None:
    uploads.sweep_abandoned()


@periodic_task(crontab(hour="3", minute="17"), apart=timedelta(hours=12))
def sweep_orphans() -> None:
    orphans.sweep_orphans()


@on_startup(JOBS)
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
