"""What the search for videos reads: one text per video, with an index of its trigrams, so that any
three characters in a row are found without reading every row.

SQLite keeps the texts in an FTS5 table, PostgreSQL in a plain one with a ``pg_trgm`` index.  Both
are written by triggers, so that no way of storing an attachment, renaming a conversation or an
account goes around them.
"""

from typing import Any

from django.db import connections, models

TABLE = "chat_videotext"
# An index of trigrams finds nothing shorter.
MIN_CHARACTERS = 3


class VideoText(models.Model):
    """Of one video: ``#id``, name, conversation and uploader, each on a line of its own."""

    attachment = models.OneToOneField(
        "chat.Attachment",
        models.DO_NOTHING,
        primary_key=True,
        db_column="rowid",
        db_constraint=False,
        related_name="text",
    )
    body = models.TextField()

    class Meta:
        managed = False
        db_table = TABLE

    def __str__(self) -> str:
        return self.body


@models.TextField.register_lookup
class Finds(models.Lookup):
    """Has the text in it, whatever the case: by the index, where the text is long enough."""

    lookup_name = "finds"

    def as_sql(self, compiler: Any, connection: Any) -> Any:
        column, params = self.process_lhs(compiler, connection)
        escaped = str(self.rhs).replace("\\", "\\\\").replace("%", r"\%").replace("_", r"\_")
        return f"{column} ILIKE %s", [*params, f"%{escaped}%"]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        phrase = '"{}"'.format(str(self.rhs).replace('"', '""'))
        return f"{column} MATCH %s", [*params, phrase]


@models.TextField.register_lookup
class Holds(Finds):
    """The same of a row that is at hand: looked at, not searched for."""

    lookup_name = "holds"

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = self.process_lhs(compiler, connection)
        return f"instr(lower({column}), lower(%s)) > 0", [*params, str(self.rhs)]


def create(connection: Any) -> None:
    """The table with its index, filled; the triggers come when all migrations are through."""
    with connection.cursor() as cursor:
        for statement in STATEMENTS[connection.vendor]["create"]:
            cursor.execute(statement)


def drop(connection: Any) -> None:
    drop_triggers(connection)
    with connection.cursor() as cursor:
        cursor.execute(f"DROP TABLE IF EXISTS {TABLE}")


def create_triggers(connection: Any) -> None:
    """Those that are missing; nothing where the table is not there (yet)."""
    if TABLE not in connection.introspection.table_names():
        return
    with connection.cursor() as cursor:
        for statement in STATEMENTS[connection.vendor]["triggers"]:
            cursor.execute(statement)


def drop_triggers(connection: Any) -> None:
    with connection.cursor() as cursor:
        for statement in STATEMENTS[connection.vendor]["drop triggers"]:
            cursor.execute(statement)


def before_migrate(using: str, **_sent: Any) -> None:
    """On SQLite a migration that changes a table may make it anew: a trigger that names it from
    elsewhere stops that, and its own are lost."""
    if connections[using].vendor == "sqlite":
        drop_triggers(connections[using])


def after_migrate(using: str, **_sent: Any) -> None:
    create_triggers(connections[using])


def body(video: str) -> str:
    """SQL for the text of the row that ``video`` stands for."""
    return f"""'#' || {video}.id || char_10 || {video}.original_name || char_10
        || COALESCE((SELECT title FROM chat_conversation WHERE id = {video}.conversation_id), '')
        || char_10
        || COALESCE((SELECT username FROM auth_user WHERE id = {video}.uploaded_by_id), '')"""


def sqlite(text: str) -> str:
    return text.replace("char_10", "char(10)")


def postgresql(text: str) -> str:
    return text.replace("char_10", "chr(10)")


FILL = f"""INSERT INTO {TABLE} (rowid, body)
    SELECT video.id, {body("video")} FROM chat_attachment video WHERE video.kind = 'video'"""
REFRESH = f"""UPDATE {TABLE} SET body = (
        SELECT {body("video")} FROM chat_attachment video WHERE video.id = {TABLE}.rowid)
    WHERE rowid IN (SELECT id FROM chat_attachment WHERE kind = 'video' AND {{theirs}} = NEW.id)"""
# What a text is made of; (trigger, its table and columns, when, what it does).
NAMED = ("original_name", "kind", "conversation_id", "uploaded_by_id")
CHANGED = " OR ".join(f"OLD.{name} IS DISTINCT FROM NEW.{name}" for name in NAMED)
FORGET = f"DELETE FROM {TABLE} WHERE rowid = OLD.id"
LEARN = f"INSERT INTO {TABLE} (rowid, body) SELECT NEW.id, {body('NEW')} WHERE NEW.kind = 'video'"
TRIGGERS = (
    ("video", "chat_attachment", "INSERT", "TRUE", [LEARN]),
    (
        "video_changed", "chat_attachment", f"UPDATE OF {', '.join(NAMED)}",
        CHANGED, [FORGET, LEARN],
    ),
    ("video_gone", "chat_attachment", "DELETE", "TRUE", [FORGET]),
    (
        "conversation", "chat_conversation", "UPDATE OF title",
        "OLD.title IS DISTINCT FROM NEW.title", [REFRESH.format(theirs="conversation_id")],
    ),
    (
        "uploader", "auth_user", "UPDATE OF username",
        "OLD.username IS DISTINCT FROM NEW.username", [REFRESH.format(theirs="uploaded_by_id")],
    ),
)  # fmt: skip


def sqlite_triggers() -> list[str]:
    return [
        sqlite(
            f"CREATE TRIGGER IF NOT EXISTS {TABLE}_{name} AFTER {event} ON {table}"
            f" WHEN {condition.replace('IS DISTINCT FROM', 'IS NOT')}"
            f" BEGIN {'; '.join(actions)}; END"
        )
        for name, table, event, condition, actions in TRIGGERS
    ]


def postgresql_triggers() -> list[str]:
    statements = []
    for name, table, event, condition, actions in TRIGGERS:
        function = f"{TABLE}_{name}"
        statements += [
            f"CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$"
            f" BEGIN {'; '.join(map(postgresql, actions))}; RETURN NULL; END $$",
            f"DROP TRIGGER IF EXISTS {function} ON {table}",
            f"CREATE TRIGGER {function} AFTER {event} ON {table} FOR EACH ROW"
            f" WHEN ({condition}) EXECUTE FUNCTION {function}()",
        ]
    emptied = f"{TABLE}_emptied"
    return [
        *statements,
        f"CREATE OR REPLACE FUNCTION {emptied}() RETURNS trigger LANGUAGE plpgsql AS $$"
        f" BEGIN TRUNCATE {TABLE}; RETURN NULL; END $$",
        f"DROP TRIGGER IF EXISTS {emptied} ON chat_attachment",
        f"CREATE TRIGGER {emptied} AFTER TRUNCATE ON chat_attachment EXECUTE FUNCTION {emptied}()",
    ]


STATEMENTS: dict[str, dict[str, list[str]]] = {
    "sqlite": {
        "create": [
            f"CREATE VIRTUAL TABLE {TABLE} USING fts5(body, tokenize='trigram')",
            sqlite(FILL),
        ],
        "triggers": sqlite_triggers(),
        "drop triggers": [f"DROP TRIGGER IF EXISTS {TABLE}_{name}" for name, *_ in TRIGGERS],
    },
    "postgresql": {
        "create": [
            "CREATE EXTENSION IF NOT EXISTS pg_trgm",
            f"""CREATE TABLE {TABLE} (
                rowid bigint PRIMARY KEY, body text NOT NULL)""",
            postgresql(FILL),
            f"CREATE INDEX {TABLE}_trigrams ON {TABLE} USING gin (body gin_trgm_ops)",
        ],
        "triggers": postgresql_triggers(),
        "drop triggers": [
            f"DROP FUNCTION IF EXISTS {TABLE}_{name}() CASCADE"
            for name in (*(name for name, *_ in TRIGGERS), "emptied")
        ],
    },
}
