"""One video: its page, thumbnail and bytes."""

from collections.abc import Callable
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.test import Client

from chat.models import ActivityLog, Attachment, Conversation, Message
from chat.services.renditions import PREVIEW
from chat.services.video_service import VideoProcessingService
from tests.clips import clip
from tests.moderation.pages import assert_guarded, count_queries, signed_in, video

MakeVideo = Callable[..., Attachment]


@pytest.fixture
def ready_video(legacy_video: MakeVideo) -> Attachment:
    attachment = legacy_video()
    assert VideoProcessingService().process_video_attachment(attachment).ok
    attachment.refresh_from_db()
    return attachment


def url_of(attachment: Attachment, part: str = "") -> str:
    return f"/moderation/videos/{attachment.pk}/{part}"


def logged(action: str) -> int:
    return ActivityLog.objects.filter(action=action).count()


@pytest.mark.parametrize("part", ["", "stream/", "thumbnail/"])
def test_who_may_see_it(outsider: User, viewer: User, ready_video: Attachment, part: str) -> None:
    assert_guarded(url_of(ready_video, part), outsider)
    assert signed_in(viewer).get(f"/moderation/videos/9999/{part}").status_code == 404
    assert signed_in(viewer).post(url_of(ready_video, part)).status_code == 405


def test_participants_without_the_role_stay_outside(owner: User, ready_video: Attachment) -> None:
    assert signed_in(owner).get(url_of(ready_video)).status_code == 403


def test_the_page_tells_all(viewer: User, member: User, ready_video: Attachment) -> None:
    ready_video.message = Message.objects.create(
        conversation=ready_video.conversation, sender=member, content="Look <b>here</b>"
    )
    ready_video.save(update_fields=["message"])
    html = signed_in(viewer).get(url_of(ready_video)).content.decode()
    for words in ("00:01", "320 × 240", "H.264", "AAC", "MP4", "kbit/s", "Holiday", "member"):
        assert words in html, words
    assert "Look &lt;b&gt;here&lt;/b&gt;" in html
    assert "Process again" not in html  # needs the operator's right


def test_looking_is_recorded_once_a_visit(viewer: User, ready_video: Attachment) -> None:
    client = signed_in(viewer)
    for _ in range(3):
        client.get(url_of(ready_video))
        list(client.get(url_of(ready_video, "stream/")).streaming_content)
    assert logged(ActivityLog.Action.ATTACHMENT_VIEWED) == 1
    assert logged(ActivityLog.Action.ATTACHMENT_DOWNLOADED) == 0


def test_downloading_is_recorded_as_such(viewer: User, ready_video: Attachment) -> None:
    response = signed_in(viewer).get(url_of(ready_video, "stream/?download=1"))
    assert b"".join(response.streaming_content) == clip().read_bytes()
    assert response.headers["Content-Disposition"].startswith("attachment")
    assert logged(ActivityLog.Action.ATTACHMENT_DOWNLOADED) == 1
    assert logged(ActivityLog.Action.ATTACHMENT_VIEWED) == 0


def test_asking_with_head_is_no_visit(viewer: User, ready_video: Attachment) -> None:
    response = signed_in(viewer).head(url_of(ready_video, "stream/"))
    assert response.headers["Content-Length"] == str(ready_video.size)
    assert not ActivityLog.objects.filter(actor=viewer).exists()


def test_the_stream_seeks(viewer: User, ready_video: Attachment) -> None:
    response = signed_in(viewer).get(
        url_of(ready_video, "stream/"), headers={"Range": "bytes=10-19"}
    )
    assert response.status_code == 206
    assert b"".join(response.streaming_content) == clip().read_bytes()[10:20]
    assert response.headers["Content-Type"] == "video/mp4"


def test_a_file_that_is_gone(viewer: User, ready_video: Attachment) -> None:
    ready_video.file.storage.delete(ready_video.file.name)
    client = signed_in(viewer)
    assert client.get(url_of(ready_video)).status_code == 200
    for part in ("stream/", "stream/?download=1"):
        assert client.head(url_of(ready_video, part)).status_code == 410
        page = client.get(url_of(ready_video, part))
        assert page.status_code == 410
        assert "names a file that the storage does not have" in page.content.decode()
    assert logged(ActivityLog.Action.ATTACHMENT_DOWNLOADED) == 0


def test_a_file_that_was_cut_is_sent_as_long_as_it_is(
    viewer: User, ready_video: Attachment
) -> None:
    with open(ready_video.file.path, "r+b") as file:
        file.truncate(100)
    response = signed_in(viewer).get(url_of(ready_video, "stream/"))
    assert response.headers["Content-Length"] == "100"
    assert len(b"".join(response.streaming_content)) == 100


def test_a_playlist_is_not_played(viewer: User, legacy_video: MakeVideo, tmp_path: Path) -> None:
    """A browser would fetch what it names, as the moderator."""
    playlist = tmp_path / "trailer.mp4"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n/moderation/jobs/\n")
    attachment = legacy_video(playlist, content_type="video/mp4")
    client = signed_in(viewer)
    assert client.get(url_of(attachment, "stream/")).status_code == 415
    saved = client.get(url_of(attachment, "stream/?download=1"))
    assert b"".join(saved.streaming_content) == playlist.read_bytes()
    assert "<video" in client.get(url_of(attachment)).content.decode()
    VideoProcessingService().process_video_attachment(attachment)
    page = client.get(url_of(attachment)).content.decode()
    assert "<video" not in page
    assert "not_a_video" in page


def test_thumbnail(viewer: User, ready_video: Attachment) -> None:
    client = signed_in(viewer)
    response = client.get(url_of(ready_video, "thumbnail/"))
    assert b"".join(response.streaming_content)[:3] == b"\xff\xd8\xff"
    assert response.headers["Content-Type"] == "image/jpeg"
    assert "private" in response.headers["Cache-Control"]
    etag = response.headers["ETag"]
    again = client.get(url_of(ready_video, "thumbnail/"), headers={"If-None-Match": etag})
    assert again.status_code == 304
    assert (
        Client()
        .get(url_of(ready_video, "thumbnail/"), headers={"If-None-Match": etag})
        .status_code
        == 302
    )


def test_a_drawing_where_there_is_no_thumbnail(
    viewer: User, legacy_video: MakeVideo, ready_video: Attachment
) -> None:
    ready_video.thumbnail.storage.delete(ready_video.thumbnail.name)
    for attachment in (legacy_video(), ready_video):
        response = signed_in(viewer).get(url_of(attachment, "thumbnail/"))
        assert response.headers["Content-Type"] == "image/svg+xml"
        assert "no-store" in response.headers["Cache-Control"]
        assert "ETag" not in response.headers


def test_a_failure_is_explained(viewer: User, legacy_video: MakeVideo) -> None:
    attachment = legacy_video()
    attachment.mark_failed("no_decodable_frame", "mdat is <empty>")
    attachment.save(update_fields=Attachment.FAILED_FIELDS)
    html = signed_in(viewer).get(url_of(attachment)).content.decode()
    assert "not one frame of the best video stream decodes" in html
    assert "mdat is &lt;empty&gt;" in html


@pytest.mark.parametrize(
    ("codec", "container", "sentence"),
    [
        ("h264", "mp4", None),
        ("vp9", "webm", None),
        ("", "", None),
        ("hevc", "mp4", "HEVC plays only where"),
        ("theora", "ogg", "given Theora up"),
        ("mpeg4", "avi", "Browsers have no decoder for MPEG-4"),
        ("h264", "matroska", "Not every browser reads H.264 from MKV files"),
        ("h264", "mp4 ac3", "Browsers have no decoder for its sound, "),
    ],
)
def test_what_the_browser_will_not_play(
    viewer: User, conversation: Conversation, codec: str, container: str, sentence: str | None
) -> None:
    container, _, audio_codec = container.partition(" ")
    attachment = video(conversation, codec=codec, container=container, audio_codec=audio_codec)
    html = signed_in(viewer).get(url_of(attachment)).content.decode()
    assert ("If nothing plays below" in html) == bool(sentence)
    assert sentence is None or sentence in html


@pytest.fixture
def odd_video(legacy_video: MakeVideo) -> Attachment:
    """Ready, of a kind that no browser plays, with its preview."""
    attachment = legacy_video(clip("odd.avi", "-c:v", "mpeg4", "-c:a", "mp3"))
    service = VideoProcessingService()
    assert service.process_video_attachment(attachment).ok
    attachment = Attachment.objects.get(pk=attachment.pk)
    (done,) = service.make_renditions(attachment, works=[PREVIEW])
    assert done.error is None
    return attachment


def test_a_preview_plays_where_the_original_does_not(
    viewer: User, outsider: User, odd_video: Attachment
) -> None:
    client = signed_in(viewer)
    preview, stream = url_of(odd_video, "preview/"), url_of(odd_video, "stream/")
    page = client.get(url_of(odd_video)).content.decode()
    assert f'src="{preview}"' in page
    assert "This is a smaller copy, 320 × 240" in page
    assert "Browsers have no decoder for MPEG-4" in page
    page = client.get(url_of(odd_video), {"play": "original"}).content.decode()
    assert f'src="{stream}"' in page
    assert "watch the smaller copy" in page

    views = logged(ActivityLog.Action.ATTACHMENT_VIEWED)
    response = client.get(preview, headers={"Range": "bytes=4-7"})
    assert response.status_code == 206
    assert b"".join(response.streaming_content) == b"ftyp"
    assert response.headers["Content-Type"] == "video/mp4"
    assert logged(ActivityLog.Action.ATTACHMENT_VIEWED) == views  # the page's visit still
    assert_guarded(preview, outsider)
    assert client.post(preview).status_code == 405


def test_without_a_preview_the_original_plays(viewer: User, ready_video: Attachment) -> None:
    client = signed_in(viewer)
    assert client.get(url_of(ready_video, "preview/")).status_code == 404
    page = client.get(url_of(ready_video)).content.decode()
    assert f'src="{url_of(ready_video, "stream/")}"' in page
    assert "smaller copy" not in page


def test_a_preview_that_is_gone(viewer: User, odd_video: Attachment) -> None:
    preview = odd_video.stored_rendition("preview")
    assert preview
    preview.file.storage.delete(str(preview.file.name))
    assert signed_in(viewer).get(url_of(odd_video, "preview/")).status_code == 410


def test_queries_do_not_grow_with_the_history(viewer: User, ready_video: Attachment) -> None:
    client = signed_in(viewer)
    count_queries(client, url_of(ready_video))  # records the visit
    few = count_queries(client, url_of(ready_video))
    for _ in range(3):
        VideoProcessingService().process_video_attachment(ready_video)
    assert count_queries(client, url_of(ready_video)) == few <= 17


def test_its_neighbours_in_the_list_one_came_from(
    viewer: User, conversation: Conversation
) -> None:
    first, second, other, third = (
        video(conversation, original_name=name, duration=seconds, codec=codec)
        for name, seconds, codec in (
            ("a.mp4", 10, "h264"),
            ("b.mp4", 20, "h264"),
            ("x.webm", 25, "vp9"),
            ("c.mp4", 30, "h264"),
        )
    )
    client = signed_in(viewer)
    rows = client.get("/moderation/videos/?codec=h264&sort=duration&page=1").content.decode()
    link = f"/moderation/videos/{second.pk}/?from=codec%3Dh264%26sort%3Dduration"
    assert link in rows
    page = client.get(link)
    assert (page.context["before"].pk, page.context["after"].pk) == (first.pk, third.pk)
    html = page.content.decode()
    assert f'href="/moderation/videos/{third.pk}/?from=codec%3Dh264%26sort%3Dduration"' in html
    assert 'href="/moderation/videos/?codec=h264&amp;sort=duration"' in html
    page = client.get(f"/moderation/videos/{other.pk}/?from=codec%3Dh264")  # not of that list
    assert page.status_code == 200
    assert "before" not in client.get(url_of(second)).context
    assert client.get(url_of(second, "?from=%00%26codec=%ff%26after=x")).status_code == 200


def test_a_page_that_is_fetched_ahead_is_viewed_once_it_is_opened(
    viewer: User, outsider: User, conversation: Conversation
) -> None:
    attachment = video(conversation)
    client = signed_in(viewer)
    ahead = {"Sec-Purpose": "prefetch"}
    html = client.get(url_of(attachment), headers=ahead).content.decode()
    assert logged("attachment_viewed") == 0
    assert f'src="{url_of(attachment, "opened/")}"' in html
    assert client.get(url_of(attachment, "opened/")).status_code == 204
    assert logged("attachment_viewed") == 1
    assert "opened/" not in client.get(url_of(attachment)).content.decode()
    rules = client.get(url_of(attachment))["Speculation-Rules"].strip('"')
    assert client.get(rules)["Content-Type"] == "application/speculationrules+json"
    assert client.get(f"/moderation/videos/{10**6}/opened/").status_code == 404
    assert_guarded(url_of(attachment, "opened/"), outsider)
