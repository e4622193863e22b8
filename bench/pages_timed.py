"""Times of the list of videos on the database of DATABASE_URL, as JSON; see bench.pages."""

import json
import re
import sys
import time
from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.conf import settings
from django.db import connection
from django.test import Client
from django.test.utils import override_settings

import bench.ready  # noqa: F401  (before what needs Django)
from bench.many_videos import fill
from chat.models import Attachment
from moderation.video_orders import ORDERS

URL = "/moderation/videos/"


def filters() -> Iterator[str]:
    """Every filter: with a value that many rows have and with one that few have."""
    some = Attachment.objects.videos().exclude(sha256="").order_by("pk")
    middle = some[some.count() // 2]
    uploader, conversation = middle.uploaded_by, middle.conversation_id
    frequent = apps.get_model("auth", "User").objects.get(pk=1)
    yield from (
        "", "q=VID", "q=.mp4", "q=harbour+garage", "q=harbour+garage+77", "q=zebra",
        f"q={middle.sha256[:12]}", f"q=%23{middle.pk}", f"q=Garage+{conversation}",
        "codec=h264", "codec=av1", "codec=theora", "audio=aac", "audio=none", "container=webm",
        "container=ogg", "state=ready", "state=failed", "state=processing", "failure=corrupt",
        "visibility=quarantined", "visibility=visible", "orientation=portrait",
        "orientation=square", "duration_min=1:00", "duration_max=1", "duration_min=20+min",
        "size_min=5+MB", "size_min=2+GB", "size_max=50+kB", "width_min=3000", "width_max=400",
        "height_min=1900", "height_max=300", "bitrate_min=20000", "bitrate_max=5000",
        "bitrate_max=300", "reported=open", "reported=no", "poster=yes", "poster=no",
        "preview=yes", "preview=no",
        f"conversation=%23{conversation}", "conversation=harbour",
        f"uploader={frequent.username}", f"uploader={uploader and uploader.username}",
        "added=7d", "added=365d", "date_from=2024-01-01&date_to=2024-01-31",
    )  # fmt: skip


COMBINED = (
    "codec=hevc&duration_min=1:00", "codec=vp9&state=ready&orientation=portrait",
    "state=failed&added=30d", "q=lake&codec=hevc", "q=lake&container=ogg",
    "duration_min=10&size_max=5+MB&bitrate_min=500", "codec=theora&orientation=square",
)  # fmt: skip


def addresses() -> Iterator[str]:
    """Each filter in the usual order and in two others, each order without one; both ends."""
    for narrowed in (*filters(), *COMBINED):
        sorts = ("-added", "-size", "duration")
        for sort in (
            sorts if narrowed else [f"{way}{name}" for name in ORDERS for way in ("", "-")]
        ):
            for place in ("", "&before=last"):
                yield f"{URL}?{narrowed}&sort={sort}{place}".replace("?&", "?")


def main() -> None:
    rows, rounds = int(sys.argv[1]), int(sys.argv[2])
    if rows:
        fill(rows)
    people = apps.get_model("auth", "User").objects
    viewer, _ = people.get_or_create(username="viewer-of-the-benchmark")
    groups = apps.get_model("auth", "Group").objects
    viewer.groups.add(groups.get(name="moderator"), groups.get(name="operator"))
    client = Client()
    client.force_login(viewer)
    figures = []
    for address in addresses():
        queries: list[str] = []

        def counted(execute: Any, sql: str, *rest: Any, asked: list[str] = queries) -> Any:
            asked.append(sql)
            return execute(sql, *rest)

        with connection.execute_wrapper(counted):
            page = client.get(address)  # also the one that warms up
        assert page.status_code == 200, address
        times, cpu = [], []
        for _ in range(rounds):
            started, worked = time.perf_counter(), time.process_time()
            client.get(address)
            times.append(round(1000 * (time.perf_counter() - started), 2))
            cpu.append(round(1000 * (time.process_time() - worked), 2))
        found = re.search(r'class="total"[^>]*>([^<]*)<', page.content.decode())
        figures.append(
            {
                "address": address,
                "ms": times,
                "cpu_ms": cpu,
                "queries": len(queries),
                "found": found and found[1],
            }
        )
    json.dump(figures, sys.stdout)


def with_static_files_as_they_are() -> override_settings:
    plain = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
    return override_settings(
        ALLOWED_HOSTS=["*"],
        STORAGES={**settings.STORAGES, "staticfiles": plain},
        MIDDLEWARE=[name for name in settings.MIDDLEWARE if "whitenoise" not in name],
    )


if __name__ == "__main__":
    with with_static_files_as_they_are():
        main()
