"""All rows: "METHOD /path/" → what it is."""

from chat.openapi.operation import Operation, Table
from chat.openapi.table_attachments import ATTACHMENTS
from chat.openapi.table_auth import AUTH
from chat.openapi.table_conversations import CONVERSATIONS, MESSAGES
from chat.openapi.table_resumable import RESUMABLE
from chat.openapi.table_uploads import UPLOADS

TABLES: dict[str, Table] = {
    "auth": AUTH,
    "conversations": CONVERSATIONS,
    "messages": MESSAGES,
    "uploads": {**UPLOADS, **RESUMABLE},
    "attachments": ATTACHMENTS,
}
TAGS = {
    "auth": "Signing in and out.",
    "conversations": "Conversations and who takes part in them.",
    "messages": "Messages, with text, files, or both.",
    "uploads": "Sending files, at once or resumable.",
    "attachments": "What is known of a file, its bytes and its pictures.",
}
OPERATIONS: dict[str, Operation] = {
    key: operation for table in TABLES.values() for key, operation in table.items()
}


def tag_of(key: str) -> str:
    return next((tag for tag, table in TABLES.items() if key in table), "")
