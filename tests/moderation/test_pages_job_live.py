"""One job's page while it runs: what it asks for, and what it is sent."""

import re
from html import unescape
from pathlib import Path

import pytest
from django.contrib.auth.models import User

from moderation import endings
from moderation.models import Chunk
from tests.moderation.job_pages import (
    URL,
    MakeVideo,
    finish,
    new_job,
    running_job,
    text_of,
)
from tests.moderation.pages import (
    HTMX,
    signed_in,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def broken(tmp_path: Path) -> Path:
    path = tmp_path / "broken.mp4"
    path.write_text("not a video")
    return path


def test_a_running_job_asks_again_and_a_finished_one_does_not(viewer: User) -> None:
    job = new_job()
    client = signed_in(viewer)
    page = f"{URL}{job.pk}/"
    asks = f'hx-get="{page}progress/'
    assert asks in client.get(page).content.decode()
    assert asks in client.get(f"{page}progress/").content.decode()
    finish(job)
    assert asks not in client.get(page).content.decode()
    last = client.get(f"{page}progress/", headers=HTMX)
    html = last.content.decode()
    assert asks not in html
    assert "<html" not in html
    assert '<div id="results" data-keep></div>' in html
    assert last.headers["Cache-Control"] == "no-store"


def test_page_fragment_and_history(viewer: User, legacy_video: MakeVideo, broken: Path) -> None:
    attachment = legacy_video(broken)
    page = f"{URL}{finish(new_job()).pk}/"
    client = signed_in(viewer)
    fragment = client.get(page, headers=HTMX)
    assert b"<html" not in fragment.content
    assert b'id="live"' not in fragment.content
    assert "No listed container format recognises the content." in text_of(fragment)
    assert f'href="/moderation/videos/{attachment.pk}/"' in fragment.content.decode()
    back = client.get(page, headers={**HTMX, "HX-History-Restore-Request": "true"})
    assert b"<html" in back.content
    for response in (fragment, back, client.get(page)):
        assert "HX-Request" in response.headers["Vary"]


def test_the_page_hears_of_new_failures_once(
    viewer: User, legacy_video: MakeVideo, broken: Path
) -> None:
    legacy_video(broken)
    job = finish(new_job())
    client = signed_in(viewer)
    first = client.get(f"{URL}{job.pk}/progress/?seen=0-0-0-0-running", headers=HTMX)
    assert first.headers["HX-Trigger"] == "failures-changed"
    seen = first.context["seen"]
    again = client.get(f"{URL}{job.pk}/progress/", {"seen": seen}, headers=HTMX)
    assert "HX-Trigger" not in again.headers


def test_a_listener_is_told_each_tenth_and_the_end(viewer: User) -> None:
    job = running_job(100, cursor=31, ready=31)
    client = signed_in(viewer)

    def told() -> str:
        html = client.get(f"{URL}{job.pk}/progress/", headers=HTMX).content.decode()
        found = re.search(r'id="announcement" aria-live="polite">([^<]*)<', html)
        assert found
        return found[1]

    assert told() == "Running: 30 % done"
    Chunk.objects.update(cursor=39, ready=39)
    assert told() == "Running: 30 % done"
    Chunk.objects.update(cursor=40, ready=39, failed=1)
    assert told() == "Running: 40 % done"
    Chunk.objects.update(cursor=100, ready=97, failed=2, dead=1)
    assert told() == "Running: 90 % done"
    assert endings.finish_if_complete(job.pk)
    assert told() == "Done: 100 of 100 videos, 3 failed"


def test_the_map_of_chunks_is_told_in_words_too(viewer: User) -> None:
    job = running_job(10, cursor=10, ready=9, failed=1)
    Chunk.of(job, [50, 51]).save()
    html = signed_in(viewer).get(f"{URL}{job.pk}/").content.decode()
    assert 'aria-label="2 parts: 1 done, with failures, 1 not begun"' in html
    assert html.count("<title>Videos 1 to 10: done, with failures, 1 failed</title>") == 1


def test_a_live_page_is_sent_only_the_cells_that_changed(viewer: User) -> None:
    client = signed_in(viewer)
    job = running_job(10)
    Chunk.objects.bulk_create(Chunk.of(job, [50 + number]) for number in range(399))

    def poll(html: str) -> str:
        address = re.search(r'id="poll" hx-get="([^"]*)"', html)
        assert address
        return client.get(unescape(address[1]), **HTMX).content.decode()

    page = client.get(f"{URL}{job.pk}/").content.decode()
    assert page.count('id="cell-') == 400
    Chunk.objects.filter(size=10).update(cursor=4, ready=4)
    changed = poll(page)
    assert re.findall(r'id="(cell-\d+)"', changed) == ["cell-0"]
    assert "<title>Videos 1 to 10: begun, 40 % done</title>" in changed
    same = poll(changed)
    assert 'id="cell-' not in same
    assert len(same) < len(page) / 5
    Chunk.of(job, [900]).save()
    assert poll(same).count('id="cell-') == 201  # of two parts each, now
