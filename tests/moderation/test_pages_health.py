"""The health page, its self-test, and the answer to load balancers."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.utils import timezone

from chat.services import media_helper, media_self_test
from chat.services.media_helper import MediaHelper
from moderation import consumer, health
from moderation.models import WorkerSeen
from moderation.queues import UPLOADS
from tests.machine import need_ffmpeg
from tests.moderation.pages import assert_guarded, count_queries, signed_in

URL = "/moderation/health/"
TEST = "/moderation/health/self-test/"

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _own_data_dir(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path


def page(user: User) -> str:
    return " ".join(signed_in(user).get(URL).content.decode().split())


def test_who_may_see_it(viewer: User, outsider: User) -> None:
    assert_guarded(URL, outsider)
    response = signed_in(viewer).get(URL)
    assert response.status_code == 200
    assert "no-store" in response.headers["Cache-Control"]
    assert signed_in(viewer).post(URL).status_code == 405
    assert count_queries(signed_in(viewer), URL) <= 11
    assert f'href="{URL}" title="Health" aria-current="page"' in response.content.decode()


def test_it_shows_versions_layers_and_limits(viewer: User, settings: Any) -> None:
    need_ffmpeg()
    settings.VIDEO_MAX_STREAMS = 12_345
    html = page(viewer)
    for words in ("SQLite 3.", "libav, in the sandboxed child", "Pillow", "libavcodec"):
        assert words in html, words
    for layer in ("Landlock", "Seccomp", "Network namespace", "Death signal"):
        assert layer in html
    assert "VIDEO_MAX_STREAMS" in html
    assert "12,345 streams" in html
    assert "UPLOAD_MAX_BYTES" in html
    assert "has not been tried on this machine" in html


def test_a_missing_layer_is_named_with_what_it_would_stop(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = MediaHelper(1, frozenset({"limits", "death_signal"}))
    monkeypatch.setattr(media_helper, "_helper", helper)
    try:
        html = page(viewer)
    finally:
        helper.stop()
    assert "Sandbox without landlock" in html
    assert "files besides this input and this output" in html
    assert "MEDIA_SANDBOX=off" in html


def test_a_helper_that_does_not_start_is_told(
    viewer: User, monkeypatch: pytest.MonkeyPatch
) -> None:
    helper = MediaHelper(1)
    helper.stop()
    monkeypatch.setattr(media_helper, "_helper", helper)
    assert "The media helper of the worker died or did not answer" in page(viewer)


def test_a_missing_ffmpeg_is_told(viewer: User, settings: Any) -> None:
    settings.FFMPEG_BINARY = "no-such-ffmpeg"
    assert "&#x27;no-such-ffmpeg&#x27; is not on this machine" in page(viewer)


# --- The self-test ------------------------------------------------------------------------------


def test_running_it_takes_the_operators_right(
    viewer: User, outsider: User, operator: User
) -> None:
    assert_guarded(TEST, outsider, "post")
    assert signed_in(viewer).post(TEST).status_code == 403
    assert TEST not in page(viewer)
    assert TEST in page(operator)
    assert signed_in(operator).get(TEST).status_code == 405


def test_running_it_shows_the_result_to_all(operator: User, viewer: User) -> None:
    response = signed_in(operator).post(TEST, follow=True)
    kept = media_self_test.last_self_test()
    assert kept is not None
    html = response.content.decode()
    if kept.passed:
        assert "Nothing got through: 13 attempts denied" in html
    else:
        assert "The stand-in could" in html
    assert "Read another user&#x27;s video" in page(viewer)


# --- Findings -----------------------------------------------------------------------------------


def consumers() -> dict[str, health.Finding]:
    return {finding.name.removeprefix("Consumer of "): finding for finding in health.consumers()}


def test_a_consumer_tells_that_it_lives() -> None:
    assert "None has ever been seen" in consumers()["uploads"].words
    stopping = threading.Event()
    stopping.set()
    for _ in range(2):
        consumer.Scheduler(UPLOADS, stopping, 1, periodic=False).loop()
    assert WorkerSeen.objects.count() == 1
    assert consumers()["uploads"].state == "ok"
    assert consumers()["jobs"].state == "failed"


def test_a_consumer_not_seen_for_minutes_is_missed() -> None:
    WorkerSeen.objects.create(host="far", seen_at=timezone.now() - timedelta(minutes=12))
    found = consumers()["jobs"]
    assert found.state == "failed"
    assert "Seen 12 min ago on far. Jobs wait until one runs: make worker" in found.words


def test_one_of_several_machines_is_missed_for_a_day() -> None:
    now = timezone.now()
    for host, ago in {"near": 0, "far": 30, "gone": 60 * 48}.items():
        WorkerSeen.objects.create(host=host, seen_at=now - timedelta(minutes=ago))
    found = consumers()["jobs"]
    assert found.state == "warning"
    assert found.words.endswith("30 min ago on far. Does it run on far?")
    assert "gone" not in found.words


def test_little_room_is_told(settings: Any) -> None:
    settings.UPLOAD_MAX_BYTES = 10**18
    (disk, *_) = health.disks()
    assert disk.state == "failed"
    settings.UPLOAD_MAX_BYTES = 1
    (disk, *_) = health.disks()
    assert disk.state == "ok"
    assert "free of" in disk.words


def test_every_setting_with_a_unit_is_shown_as_a_limit() -> None:
    shown = {limit.setting: limit.value for limit in health.limits()}
    assert shown["MEDIA_WALL_SECONDS"] == "8 seconds"
    assert shown["FINGERPRINT_MAX_FRAMES"] == "300 frames"
    assert len(shown) >= 14


# --- Load balancers -----------------------------------------------------------------------------


def test_a_load_balancer_gets_a_word_and_no_details() -> None:
    response = Client().get("/health/")
    assert response.status_code == 200
    assert response.json() == {"status": "ok"}
    assert "no-store" in response.headers["Cache-Control"]
    assert "sessionid" not in response.cookies
    assert Client().post("/health/").status_code == 405
    assert Client().head("/health/").status_code == 200


def test_it_is_not_sent_to_https(settings: Any) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert Client().get("/health/").status_code == 200
    assert Client().get("/moderation/").status_code == 301


def test_without_a_queue_it_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> int:
        raise OSError("disk I/O error")

    monkeypatch.setattr(health.QUEUES["jobs"], "pending_count", fail)
    response = Client().get("/health/")
    assert (response.status_code, response.json()) == (503, {"status": "unavailable"})
    assert b"disk" not in response.content


@pytest.mark.django_db(transaction=True)
def test_without_its_tables_it_is_unavailable(viewer: User) -> None:
    with connection.schema_editor() as editor:
        editor.delete_model(WorkerSeen)
    try:
        assert Client().get("/health/").status_code == 503
        assert "It does not answer" in page(viewer)
    finally:
        with connection.schema_editor() as editor:
            editor.create_model(WorkerSeen)
