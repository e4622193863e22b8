"""The job that makes fingerprints, from the form to the rows."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User

from chat.models import ActivityLog, Attachment, VideoFingerprint
from chat.services import media_helper
from chat.services.activity import SYSTEM
from chat.services.media_helper import MediaHelper
from chat.services.video_service import VideoProcessingService
from moderation import backfill, steering
from moderation.models import Job
from moderation.progress import progress
from moderation.scopes import Scope
from tests.machine import need_fingerprints
from tests.moderation.pages import signed_in

START = "/moderation/jobs/start/"
MakeVideo = Callable[..., Attachment]

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]


def run(only: Any = "missing") -> Job:
    job = steering.create_job(Job.Kind.FINGERPRINTS, Scope(only=only), SYSTEM, "command")
    backfill.run_inline(job, lambda _progress: None)
    return job


@pytest.fixture
def videos(legacy_video: MakeVideo) -> list[Attachment]:
    """Three that are ready and one that nobody has processed."""
    need_fingerprints()
    ready = [legacy_video() for _ in range(3)]
    for each in ready:
        VideoProcessingService().process_video_attachment(each)
    return [*ready, legacy_video()]


def test_every_ready_video_gets_one_and_only_one(videos: list[Attachment]) -> None:
    job = run()
    assert (job.status, progress(job).ready, job.total) == (Job.Status.DONE, 3, 3)
    assert VideoFingerprint.objects.count() == 3
    assert run().total == 0
    assert progress(run("all")).ready == 3
    assert VideoFingerprint.objects.count() == 3
    entries = ActivityLog.objects.filter(action="attachment_fingerprinted")
    assert entries.filter(job_id=job.pk).count() == 3


def test_a_lost_file_stops_nothing_and_changes_no_state(videos: list[Attachment]) -> None:
    Path(videos[0].file.path).unlink()
    job = run()
    assert progress(job).ready == 2
    assert job.failures.get().code == "missing_file"
    videos[0].refresh_from_db()
    assert videos[0].is_ready


def test_the_video_page_tells_of_it(videos: list[Attachment], viewer: User) -> None:
    address = f"/moderation/videos/{videos[0].pk}/"
    assert "Fingerprint" not in signed_in(viewer).get(address).content.decode()
    run()
    assert "<dt>Fingerprint</dt><dd>1 picture" in signed_in(viewer).get(address).content.decode()


def test_the_form_offers_it(operator: User, videos: list[Attachment]) -> None:
    page = signed_in(operator).get("/moderation/jobs/new/?kind=fingerprints&only=missing")
    assert "Make fingerprints" in page.content.decode()
    assert "Ready videos without a fingerprint" in page.content.decode()
    assert page.context["forecast"].matched == 3


def test_without_the_library_the_form_refuses_with_a_sentence(
    operator: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    form = {"kind": "fingerprints", "only": "missing"}
    response = signed_in(operator).post(START, form, follow=True)
    assert "Fingerprints need pdqhash, which is not installed here" in response.content.decode()
    assert not Job.objects.exists()


def test_a_worker_without_the_library_stops_the_job(
    videos: list[Attachment], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = MediaHelper(1)
    monkeypatch.setattr(media_helper, "TASK_MODULES", ("chat.services.sandbox.libav_tasks",))
    monkeypatch.setattr(media_helper, "_print_helper", without)
    try:
        job = run()
    finally:
        without.stop()
    assert job.status == Job.Status.PAUSED
    assert "pdqhash is not installed" in job.error
    assert not job.failures.exists()
