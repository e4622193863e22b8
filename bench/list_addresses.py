"""What the benchmark of the lists asks for: each list under every filter, with a value that many
rows have and with one that few have, in several orders, and at both ends."""

from collections.abc import Iterator

from django.contrib.auth.models import User

from bench.many_entries import ACTIONS
from chat.models import ActivityLog, Attachment
from moderation.video_orders import ORDERS

COMBINED = (
    "codec=hevc&duration_min=1:00", "codec=vp9&state=ready&orientation=portrait",
    "state=failed&added=30d", "q=lake&codec=hevc", "q=lake&container=ogg",
    "duration_min=10&size_max=5+MB&bitrate_min=500", "codec=theora&orientation=square",
    "visibility=visible&audio=none&height_min=1900", "conversation=harbour&codec=av1",
    "uploader=%s&codec=hevc", "poster=no&state=pending", "preview=yes&codec=vp9&size_min=50+MB",
    "reported=yes&visibility=quarantined", "state=failed&codec=h264",
    "codec=h264&container=webm&duration_min=5", "width_min=3000&duration_max=3&bitrate_max=900",
)  # fmt: skip


def all_lists() -> dict[str, list[str]]:
    """{list: its addresses}."""
    pages = {
        "videos": videos(),
        "activity": activity(),
        "reports": reports(),
        "jobs": jobs(),
        "people": people(),
    }
    return {
        name: [f"/moderation/{name}/?{query}".replace("?&", "?") for query in queries]
        for name, queries in pages.items()
    }


def video_filters() -> Iterator[str]:
    some = Attachment.objects.videos().exclude(sha256="").order_by("pk")
    middle = some[some.count() // 2]
    uploader, conversation = middle.uploaded_by, middle.conversation_id
    frequent = User.objects.get(pk=1).username
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
        f"uploader={frequent}", f"uploader={uploader and uploader.username}",
        "added=7d", "added=365d", "date_from=2024-01-01&date_to=2024-01-31",
        *(each.replace("%s", frequent) for each in COMBINED),
    )  # fmt: skip


def videos() -> Iterator[str]:
    """Without a filter in every order, under each in three; the first page and the last."""
    every = [f"{way}{name}" for name in ORDERS for way in ("", "-")]
    for narrowed in video_filters():
        for sort in ("-added", "-size", "duration") if narrowed else every:
            for place in ("", "&before=last"):
                yield f"{narrowed}&sort={sort}{place}"
    middle = Attachment.objects.count() // 2
    for narrowed in ("", "codec=h264", *COMBINED[:4]):
        yield f"{narrowed}&sort=-size&after={middle}"


def activity() -> Iterator[str]:
    log = ActivityLog.objects.order_by("pk")
    office = "address=203.0.113.7"
    rare = log.exclude(actor=None).filter(pk__gt=log.count() // 2)[0]
    narrowed = (
        "", "actor=person+1", f"actor={rare.actor_name.replace(' ', '+')}", office,
        f"address={rare.ip_address}", *(f"action={action}" for action in ACTIONS),
        "outcome=ok", "outcome=refused", "outcome=failed", "object_type=attachment",
        "object_type=job", f"object_id={rare.object_id}",
        f"object_type=attachment&object_id={rare.object_id}",
        f"conversation={rare.conversation_id or 1}", "job=1", "job=2000",
        "within=24h", "within=90d", "date_from=2024-01-01&date_to=2024-01-31",
        f"{office}&outcome=refused", f"{office}&outcome=failed",
        f"{office}&action=attachment_viewed", f"{office}&object_type=user",
        "action=attachment_viewed&outcome=refused", "job=1&outcome=failed",
        "job=1&action=renditions_made&outcome=failed", "outcome=failed&object_type=attachment",
        "outcome=refused&date_from=2024-01-01&date_to=2024-01-31", "outcome=refused&within=90d",
        "action=signed_in&outcome=failed", f"{office}&action=signed_in&outcome=refused",
    )  # fmt: skip
    middle = log.count() // 2
    for each in narrowed:
        for place in ("", "&after=0", f"&before={middle}"):
            yield f"{each}{place}"


def reports() -> Iterator[str]:
    for narrowed in (
        "", "state=all", "state=settled", "reason=spam", "reason=hate&state=all",
        "conversation=harbour", "conversation=%231000", "date_from=2026-11-01",
        "reason=spam&conversation=harbour&state=all",
    ):  # fmt: skip
        for sort in ("", "&sort=-reports", "&sort=-last"):
            for place in ("", "&page=999999999"):
                yield f"{narrowed}{sort}{place}"


def jobs() -> Iterator[str]:
    for status in ("", "running", "paused", "done", "failed", "cancelled"):
        for place in ("", "&page=999999999"):
            yield f"status={status}{place}"


def people() -> Iterator[str]:
    for narrowed in (
        "", "q=lake", "q=lake77", "role=any", "role=none", "role=moderator", "role=superuser",
        "state=active", "state=deactivated", "q=garden&role=none&state=active",
    ):  # fmt: skip
        for place in ("", "&page=999999999"):
            yield f"{narrowed}&sort=name{place}"
