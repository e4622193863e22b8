"""Wake-ups: what the queue carries.  Losing one, or having many, changes nothing but time."""

import contextlib
import logging
import time
from collections.abc import Iterator
from datetime import timedelta

from django.db import DatabaseError, transaction
from django.utils import timezone
from huey import crontab

from chat.models import Attachment
from chat.services import activity_chain, orphans, scratch
from chat.services.renditions import WORKS, missing
from chat.services.video_service import VideoProcessingService
from moderation import backfill, endings, figures, housekeeping, retention
from moderation.chunks import owner_name, release_dead
from moderation.models import Job
from moderation.queues import JOBS, UPLOADS, on_startup, periodic_task, task

# So many wake-ups are in the queue while there is work: enough for the consumers of several hosts.
WAKE_UPS = 16
TROUBLE_SECONDS = 1.0

logger = logging.getLogger(__name__)


def is_stopping() -> bool:
    """Whether this process is to end with its task; ``consumer.Worker`` knows."""
    return False


def wake() -> None:
    """Have the consumers look for work, once the caller's transaction is committed."""
    transaction.on_commit(fill_up)


def fill_up() -> None:
    with queue_may_be_away():
        for _ in range(WAKE_UPS - JOBS.pending_count()):
            work()


@task(JOBS)
def work() -> None:
    """A slice of the job whose turn it is; asks for the next one as long as there is more."""
    try:
        if backfill.plan_slice(backfill.SLICE_SECONDS):
            fill_up()  # there is something to share now
        elif backfill.work_slice(owner_name(), may_last=nobody_waits):
            ask_again()
    except backfill.DATABASE_TROUBLE as error:
        # Restarted, it would be back before long, and every wake-up spent on finding it away.
        logger.warning("The database does not answer: %s", error)
        time.sleep(TROUBLE_SECONDS)
        ask_again()


def nobody_waits(job: Job) -> bool:
    return not is_stopping() and not backfill.others_wait(job)


def ask_again() -> None:
    """Pass on a wake-up; of a storm of them, not each: the sweep would wait behind it."""
    with queue_may_be_away():
        if JOBS.pending_count() < WAKE_UPS:
            work()


def wake_for_what_is_due() -> None:
    """Asked every few seconds where a consumer runs: a try that is due, a lease that ended or an
    hour that came is not to wait for the sweep."""
    with queue_may_be_away():
        if not JOBS.pending_count() and Job.objects.with_work(timezone.now()).exists():
            fill_up()


@contextlib.contextmanager
def queue_may_be_away() -> Iterator[None]:
    """Nobody is to suffer from that: what is to be done stands in the database, and is found
    within seconds once the queue is back."""
    try:
        yield
    except DatabaseError:
        raise  # of Django: the database itself
    except Exception as error:  # of whichever library speaks to the queue
        logger.warning("The queue does not answer, what waits in it goes on later: %s", error)


@periodic_task(crontab(minute="27"), apart=timedelta(minutes=30))
def tell_head_of_activity() -> None:
    """Into the log of the process: where that is kept elsewhere, it is the chain's anchor."""
    logger.info("The activity log is sealed up to %s", activity_chain.head())


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


@periodic_task(crontab(minute="*"), apart=timedelta(seconds=30))
def recount_figures() -> None:
    figures.recount_if_due()


@periodic_task(crontab(minute="7"), apart=timedelta(minutes=30))
def sweep_abandoned_uploads() -> None:
    housekeeping.sweep_uploads()


@periodic_task(crontab(minute="37"), apart=timedelta(minutes=30))
def sweep_scratch() -> None:
    """Of this machine; elsewhere each new media helper does it."""
    scratch.sweep_scratch()


@periodic_task(crontab(hour="3", minute="17"), apart=timedelta(hours=12))
def sweep_orphans() -> None:
    orphans.sweep_orphans()


@periodic_task(crontab(day_of_week="0", hour="2", minute="17"), apart=timedelta(days=3))
def sweep_all_orphans() -> None:
    """Of every month: a crash between a deletion and that of its files leaves old ones too."""
    orphans.sweep_orphans(months=None)


@periodic_task(crontab(hour="3", minute="47"), apart=timedelta(hours=12))
def clear_old_details() -> None:
    housekeeping.clear_old_details()


@periodic_task(crontab(hour="4", minute="7"), apart=timedelta(hours=12))
def clear_expired() -> None:
    housekeeping.clear_expired()


@periodic_task(crontab(hour="4", minute="17"), apart=timedelta(hours=12))
def take_statistics() -> None:
    housekeeping.take_statistics()


@periodic_task(crontab(hour="4", minute="37"), apart=timedelta(hours=12))
def erase_removed() -> None:
    retention.erase_due()


@on_startup(JOBS)
def sweep_on_startup() -> None:
    """Go on at once with what the last consumer left."""
    sweep()


def sweep() -> bool:
    """Free what dead workers hold, finish what is complete, and wake the consumers when there is
    work that nobody has taken on: a wake-up was lost, a lease ended, a try is due, an hour has
    come.  Whether there was."""
    release_dead()
    endings.finish_what_is_complete()
    there_is_work = Job.objects.with_work(timezone.now()).exists()
    if there_is_work:
        fill_up()
    return there_is_work
