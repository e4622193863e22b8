"""Who may do what: the expected status of every API path, method and person.

A row is "METHOD": the statuses in the order of ``CAST``.  HEAD is as GET.  A method without a row
is refused to everybody: 401 without a token, 405 with one.
"""

import re
from typing import Any

CAST = ("anonymous", "owner", "member", "outsider", "former", "staff", "moderator")
# The member uploaded the video and sent the message; the former member has left; staff are site
# administrators without a role; nobody of the last four takes part in the conversation.

ALL = "200 200 200 200 200 200 200"
WITH_TOKEN = "401 200 200 200 200 200 200"
CREATES = "401 201 201 201 201 201 201"
ENDS = "401 204 204 204 204 204 204"
READS = "401 200 200 404 404 404 404"
PARTICIPANTS_POST = "401 201 201 404 404 404 404"
PARTICIPANTS_DELETE = "401 204 204 404 404 404 404"
OWNER_CHANGES = "401 200 403 404 404 404 404"
OWNER_CREATES = "401 201 403 404 404 404 404"
OWNER_DELETES = "401 204 403 404 404 404 404"
SENDER_CHANGES = "401 403 200 404 404 404 404"

Row = dict[str, str]
MATRIX: dict[str, Row] = {
    "api/auth/token/": {"POST": ALL},
    "api/auth/logout/": {"POST": ENDS},
    "api/auth/logoutall/": {"POST": ENDS},
    "api/chat/videos/": {"GET": WITH_TOKEN},
    "api/chat/videos/upload/": {"POST": PARTICIPANTS_POST},
    "api/chat/upload/": {"POST": PARTICIPANTS_POST},
    "api/chat/videos/<id:attachment_id>/download/": {"GET": READS},
    "api/chat/videos/<id:attachment_id>/stream/": {"GET": READS},
    "api/chat/attachments/<id:attachment_id>/": {"GET": READS, "DELETE": PARTICIPANTS_DELETE},
    "api/chat/attachments/<id:attachment_id>/report/": {"POST": PARTICIPANTS_POST},
    "api/chat/attachments/<id:attachment_id>/thumbnail/": {"GET": READS},
    "api/chat/attachments/<id:attachment_id>/storyboard/": {"GET": READS},
    "api/chat/attachments/<id:attachment_id>/storyboard.vtt": {"GET": READS},
    "api/chat/attachments/<id:attachment_id>/preview/": {"GET": READS},
    "api/chat/conversations/": {"GET": WITH_TOKEN, "POST": CREATES},
    "api/chat/conversations/<id:conversation_id>/": {
        "GET": READS,
        "PATCH": OWNER_CHANGES,
        "DELETE": OWNER_DELETES,
    },
    "api/chat/conversations/<id:conversation_id>/read/": {"POST": READS},
    "api/chat/conversations/<id:conversation_id>/participants/": {
        "GET": READS,
        "POST": OWNER_CREATES,
    },
    # Of the member, who may leave.
    "api/chat/conversations/<id:conversation_id>/participants/<id:user_id>/": {
        "PATCH": OWNER_CHANGES,
        "DELETE": PARTICIPANTS_DELETE,
    },
    "api/chat/conversations/<id:conversation_id>/messages/": {
        "GET": READS,
        "POST": PARTICIPANTS_POST,
    },
    "api/chat/messages/<id:message_id>/": {
        "GET": READS,
        "PATCH": SENDER_CHANGES,
        "DELETE": PARTICIPANTS_DELETE,
    },
    "api/chat/quota/": {"GET": WITH_TOKEN},
    "api/chat/uploads/": {"POST": PARTICIPANTS_POST, "OPTIONS": "204 204 204 204 204 204 204"},
    # Begun by the member: nobody else's business.
    "api/chat/uploads/<uuid:upload_id>/": {
        "HEAD": "401 404 200 404 404 404 404",
        "PATCH": "401 404 204 404 404 404 404",
        "DELETE": "401 404 204 404 404 404 404",
        "OPTIONS": "204 204 204 204 204 204 204",
    },
    "api/schema/": {"GET": ALL},
    "api/docs/": {"GET": ALL, "OPTIONS": "405 405 405 405 405 405 405"},
}


def path_of(route: str, ids: dict[str, Any]) -> str:
    """The address, with ``ids`` in the places of their names."""
    return "/" + re.sub(r"<\w+:(\w+)>", lambda found: str(ids[found[1]]), route)


# Bodies that are taken where the person may; ``{video}`` is the bytes of a clip.
BODIES: dict[str, dict[str, Any]] = {
    "POST api/auth/token/": {"username": "member", "password": "correct horse battery"},
    "POST api/chat/videos/upload/": {"file": "{video}"},
    "POST api/chat/upload/": {"file": "{video}"},
    "POST api/chat/attachments/<id:attachment_id>/report/": {"reason": "spam"},
    "POST api/chat/conversations/": {"title": "new"},
    "PATCH api/chat/conversations/<id:conversation_id>/": {"title": "new"},
    "POST api/chat/conversations/<id:conversation_id>/read/": {},
    "POST api/chat/conversations/<id:conversation_id>/participants/": {"participants": ["former"]},
    "PATCH api/chat/conversations/<id:conversation_id>/participants/<id:user_id>/": {
        "role": "owner"
    },
    "POST api/chat/conversations/<id:conversation_id>/messages/": {"content": "new"},
    "PATCH api/chat/messages/<id:message_id>/": {"content": "new"},
}

# What a resumable upload needs beside a body.
TUS_HEADERS = {"tus-resumable": "1.0.0", "upload-length": "10", "upload-offset": "0"}
PART = (b"hello", "application/offset+octet-stream")
