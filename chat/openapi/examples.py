"""The people, files and messages of the examples: those of the guide."""

from typing import Any

HOST = "https://nexus.example.org/api/chat"
ANNA = {"id": 3, "username": "anna"}
BEN = {"id": 4, "username": "ben"}

TOKEN = {"token": "6b4f0c…", "expiry": "2026-12-07T09:12:44.120000Z"}

PARTICIPANTS = [
    {**ANNA, "role": "owner", "joined_at": "2026-11-23T09:14:02.513000Z", "last_read_message": 31},
    {**BEN, "role": "member", "joined_at": "2026-11-23T09:14:02.514000Z", "last_read_message": 0},
]
CONVERSATION = {
    "id": 7,
    "title": "Holiday",
    "created_by": ANNA,
    "created_at": "2026-11-23T09:14:02.511000Z",
    "participants": PARTICIPANTS,
    "last_message": 31,
    "unread_count": 0,
}
READ_STATE = {"last_read_message": 31, "unread_count": 0}

ATTACHMENT: dict[str, Any] = {
    "id": 12,
    "conversation": 7,
    "message": 31,
    "uploaded_by": ANNA,
    "original_name": "beach.mp4",
    "kind": "video",
    "content_type": "video/mp4",
    "size": 7340032,
    "duration": 30.033,
    "duration_formatted": "00:30",
    "width": 1280,
    "height": 720,
    "video_dimensions": [1280, 720],
    "bitrate": 1855,
    "codec": "h264",
    "audio_codec": "aac",
    "container": "mp4",
    "frame_rate": 29.97,
    "rotation": 0,
    "processing_state": "ready",
    "failure_code": "",
    "visibility": "visible",
    "thumbnail_url": f"{HOST}/attachments/12/thumbnail/",
    "placeholder": "3OcRJYB4d3h/iIeHeEh3eIhw+j2w",
    "storyboard_url": f"{HOST}/attachments/12/storyboard/",
    "preview_url": None,
    "download_url": f"{HOST}/videos/12/download/",
    "stream_url": f"{HOST}/videos/12/stream/?token=3.12:1vNJ2k:…",
    "created_at": "2026-11-23T09:14:58.730000Z",
}

MESSAGE = {
    "id": 31,
    "conversation": 7,
    "sender": ANNA,
    "content": "Look at this",
    "attachments": [ATTACHMENT],
    "created_at": "2026-11-23T09:15:10.002000Z",
    "edited_at": None,
}

REPORT = {
    "id": 5,
    "attachment": 12,
    "reason": "violence",
    "note": "At the end.",
    "time_seconds": 21.5,
    "created_at": "2026-11-23T10:02:11.402000Z",
}

USAGE = {"quota_bytes": 107374182400, "stored_bytes": 7340032, "pending_bytes": 0}
