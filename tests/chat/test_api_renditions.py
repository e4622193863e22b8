"""Storyboard, preview and WebP poster through the API: access, ranges, what is not there."""

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from chat.models import ActivityLog, Attachment, Participant
from chat.services.video_service import VideoProcessingService
from tests.clips import clip

KINDS = ("storyboard/", "storyboard.vtt", "preview/")


@pytest.fixture
def made(as_member, send_video) -> Attachment:
    """A video of a kind that browsers do not play, with everything made of it."""
    response = send_video(as_member, clip("a.avi", "-c:v", "mpeg4", "-c:a", "mp3"))
    attachment = Attachment.objects.get(pk=response.json()["id"])
    for done in VideoProcessingService().make_renditions(attachment):
        assert done.error is None
    return attachment


def address(attachment: Attachment, kind: str = "") -> str:
    return f"/api/chat/attachments/{attachment.pk}/{kind}"


def test_addresses_appear_when_they_lead_somewhere(as_member, made):
    found = as_member.get(address(made)).json()
    assert found["storyboard_url"].endswith(address(made, "storyboard/"))
    assert found["preview_url"].endswith(address(made, "preview/"))
    assert 20 <= len(found["placeholder"]) <= 44


def test_what_is_not_made_is_not_found_with_a_code(as_member, video):
    found = as_member.get(address(video)).json()
    assert found["storyboard_url"] is found["preview_url"] is None
    assert found["placeholder"] == ""
    for kind in KINDS:
        response = as_member.get(address(video, kind))
        assert (response.status_code, response.json()["code"]) == (404, "no_rendition")


def test_it_checks_access(made, as_owner, as_outsider, as_nobody, outsider, member):
    for kind in KINDS:
        allowed = as_owner.get(address(made, kind))
        assert allowed.status_code == 200
        allowed.close()
        assert as_owner.head(address(made, kind)).status_code == 200
        assert as_outsider.get(address(made, kind)).status_code == 404
        assert as_outsider.get(address(made, kind)).json()["code"] == "not_found"
        assert as_nobody.get(address(made, kind)).status_code == 401
    Participant.objects.filter(user=member).delete()
    Attachment.objects.update(visibility=Attachment.Visibility.QUARANTINED)
    for kind in KINDS:
        response = as_owner.get(address(made, kind))
        assert (response.status_code, response.json()["code"]) == (451, "quarantined")
    assert as_owner.get(address(made)).json()["preview_url"] is None


def test_the_preview_comes_in_ranges_and_counts_as_a_view(as_owner, made):
    whole = as_owner.get(address(made, "preview/"))
    content = b"".join(whole.streaming_content)
    assert whole.headers["Content-Type"] == "video/mp4"
    assert content[4:8] == b"ftyp"
    part = as_owner.get(address(made, "preview/"), HTTP_RANGE="bytes=4-7")
    assert part.status_code == 206
    assert b"".join(part.streaming_content) == b"ftyp"
    assert part.headers["Content-Range"] == f"bytes 4-7/{len(content)}"
    again = as_owner.get(address(made, "preview/"), HTTP_IF_NONE_MATCH=whole.headers["ETag"])
    assert again.status_code == 304
    assert ActivityLog.objects.filter(action="attachment_viewed", object_id=made.pk).count() == 1


def test_the_map_leads_to_the_sheet(as_member, as_nobody, made):
    response = as_member.get(address(made, "storyboard.vtt"))
    assert response.headers["Content-Type"] == "text/vtt; charset=utf-8"
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "\nstoryboard/#xywh=0,0,160,120\n" in response.content.decode()
    etag = response.headers["ETag"]
    again = as_member.get(address(made, "storyboard.vtt"), HTTP_IF_NONE_MATCH=etag)
    assert again.status_code == 304


def test_the_token_of_the_stream_opens_them_and_is_passed_on(as_member, as_nobody, made):
    token = parse_qs(urlsplit(as_member.get(address(made)).json()["stream_url"]).query)["token"]
    told = as_nobody.get(address(made, "storyboard.vtt"), {"token": token[0]}).content.decode()
    target = next(line for line in told.splitlines() if line.startswith("storyboard/"))
    sheet = as_nobody.get(address(made, target.partition("#")[0]))
    assert sheet.status_code == 200
    assert sheet.headers["Content-Type"] == "image/jpeg"
    sheet.close()
    preview = as_nobody.get(address(made, "preview/"), {"token": token[0]})
    assert preview.status_code == 200
    preview.close()
    assert as_nobody.get(address(made, "preview/"), {"token": "x"}).status_code == 401


def test_the_thumbnail_is_webp_for_who_takes_it(as_member, made):
    plain = as_member.get(address(made, "thumbnail/"))
    webp = as_member.get(address(made, "thumbnail/"), HTTP_ACCEPT="image/webp,*/*")
    assert plain.headers["Content-Type"] == "image/jpeg"
    assert webp.headers["Content-Type"] == "image/webp"
    assert "Accept" in webp.headers["Vary"]
    assert b"".join(webp.streaming_content)[8:12] == b"WEBP"
    plain.close()


def test_deleting_deletes_all_files(
    as_member, made, stored_files, django_capture_on_commit_callbacks
):
    assert sum("renditions/" in name for name in stored_files()) == 4
    with django_capture_on_commit_callbacks(execute=True):
        assert as_member.delete(address(made)).status_code == 204
    assert stored_files() == []


def test_deleting_the_conversation_too(
    as_owner, made, stored_files, django_capture_on_commit_callbacks
):
    with django_capture_on_commit_callbacks(execute=True):
        path = f"/api/chat/conversations/{made.conversation_id}/"
        assert as_owner.delete(path).status_code == 204
    assert stored_files() == []


def test_a_file_that_is_lost_is_said_so(as_member, made):
    for rendition in made.renditions.all():
        Path(rendition.file.path).unlink()
    for kind in KINDS:
        response = as_member.get(address(made, kind))
        assert (response.status_code, response.json()["code"]) == (410, "missing_file")
