"""Jobs in every state, for pictures: on the demo's clips, and on an archive of copies of them.

Run inside an installation; prints the numbers of the jobs that have a picture of their own.
"""

import copy
from datetime import time, timedelta
from typing import Any

from django.contrib.auth.models import User
from django.utils import timezone

from chat.models import Attachment
from chat.services.activity import Actor
from moderation import backfill, steering, tasks
from moderation.models import Interruption, Job
from moderation.scopes import Scope
from moderation.steering import Pace

ARCHIVE = 1200
LEGACY = 3  # clips that stay unprocessed

olivia = Actor(user=User.objects.get(username="olivia"), ip_address="192.0.2.14")


def start(kind: str, scope: Scope, counted: int | None = None, **pace: Any) -> Job:
    return steering.create_job(
        kind, scope, olivia, "dashboard", pace=Pace(**pace), counted=counted
    )


ids = tuple(Attachment.objects.order_by("pk").values_list("pk", flat=True)[LEGACY:])
ended = start("metadata", Scope(only="all", ids=ids))
backfill.run_inline(ended, lambda progress: None)
code = ended.failures.order_by("code")[0].code
steering.mark_handled(ended, olivia, ended.failures.filter(code=code))

rows = list(Attachment.objects.filter(pk__in=ids, processing_state="ready"))
archive = [copy.copy(rows[number % len(rows)]) for number in range(ARCHIVE)]
for number, row in enumerate(archive):
    row.pk, row.message_id = None, None  # type: ignore[assignment]
    row.created_at = timezone.now() - timedelta(days=90, minutes=number)
Attachment.objects.bulk_create(archive)

broken = start("metadata", Scope(only="all"))
Job.objects.filter(pk=broken.pk).update(scope={"only": "all", "filters": {"codec": "gone"}})
backfill.plan(Job.objects.get(pk=broken.pk))
stopped = start("fingerprints", Scope(only="all", limit=50))
backfill.plan(stopped)
steering.cancel(stopped, olivia)
paused = start("storyboards", Scope(only="all"), workers=1)
backfill.plan(paused)
steering.pause(paused, olivia)
waiting = start("previews", Scope(only="all"))
backfill.plan(waiting)
begin = timezone.localtime() + timedelta(hours=2)
steering.change(
    waiting,
    olivia,
    Pace(hours_from=time(begin.hour), hours_until=time((begin.hour + 8) % 24)),
)
running = start("verify", Scope(only="all"), counted=ARCHIVE + 40, items_per_second=30)
running.interruptions.create(
    cause=Interruption.Cause.WORKER_LOST, owner="video-2:4711", attachment_id=ids[0]
)
tasks.fill_up()
print(ended.pk, running.pk, paused.pk)
