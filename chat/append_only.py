"""The activity log and its seals are append-only in the database too: triggers refuse whatever
would change or delete a row, and put each new entry on the list of those to be sealed.

``manage.py migrate`` installs them.  On SQLite a later migration that rebuilds one of the tables
drops its triggers and has to call ``install`` again; ``verify_activity_log`` and a test look.
``manage.py flush`` is refused as well: who wants an empty installation makes a new database.
"""

from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper

TABLES = {
    "chat_activitylog": "The activity log is append-only: entries are never changed or deleted.",
    "chat_activityseal": "Seals of the activity log are never changed or deleted.",
}
NAMES = {
    "sqlite": {f"{table}_no_{verb}" for table in TABLES for verb in ("update", "delete")}
    | {"chat_activitylog_to_seal"},
    "postgresql": {f"{table}_append_only" for table in TABLES} | {"chat_activitylog_to_seal"},
}


def install(connection: BaseDatabaseWrapper) -> None:
    """Make the triggers anew, whichever of them there are."""
    remove(connection)
    run(connection, CREATE[connection.vendor])


def remove(connection: BaseDatabaseWrapper) -> None:
    """For the migration backwards, and for the tests' own way of emptying tables."""
    run(connection, DROP[connection.vendor])


def missing(using: str = "default") -> set[str]:
    """Names of the triggers that are not in force."""
    connection = connections[using]
    with connection.cursor() as cursor:
        cursor.execute(IN_FORCE[connection.vendor])
        return NAMES[connection.vendor] - {name for (name,) in cursor.fetchall()}


def run(connection: BaseDatabaseWrapper, statements: list[str]) -> None:
    with connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def sqlite_refusals() -> list[str]:
    return [
        f"CREATE TRIGGER {table}_no_{verb} BEFORE {verb.upper()} ON {table}"
        f" BEGIN SELECT RAISE(ABORT, '{sentence}'); END"
        for table, sentence in TABLES.items()
        for verb in ("update", "delete")
    ]


# Of statements, so that one that would meet no row is refused too, and TRUNCATE.
def postgresql_refusals() -> list[str]:
    return [
        f"CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}"
        f" FOR EACH STATEMENT EXECUTE FUNCTION chat_refuse('{sentence}')"
        for table, sentence in TABLES.items()
    ]


CREATE = {
    "sqlite": [
        *sqlite_refusals(),
        """CREATE TRIGGER chat_activitylog_to_seal AFTER INSERT ON chat_activitylog
        BEGIN INSERT INTO chat_unsealedentry (entry_id) VALUES (NEW.id); END""",
    ],
    "postgresql": [
        """CREATE FUNCTION chat_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            RAISE EXCEPTION '%', TG_ARGV[0]
                USING ERRCODE = 'restrict_violation', HINT = TG_OP || ' was refused by a trigger.';
        END $$""",
        *postgresql_refusals(),
        """CREATE FUNCTION chat_to_seal() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO chat_unsealedentry (entry_id) SELECT id FROM fresh;
            RETURN NULL;
        END $$""",
        """CREATE TRIGGER chat_activitylog_to_seal AFTER INSERT ON chat_activitylog
        REFERENCING NEW TABLE AS fresh FOR EACH STATEMENT EXECUTE FUNCTION chat_to_seal()""",
    ],
}
DROP = {
    "sqlite": [f"DROP TRIGGER IF EXISTS {name}" for name in sorted(NAMES["sqlite"])],
    "postgresql": [
        "DROP FUNCTION IF EXISTS chat_refuse() CASCADE",
        "DROP FUNCTION IF EXISTS chat_to_seal() CASCADE",
    ],
}
IN_FORCE = {
    "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
    # "D" are those that somebody disabled.
    "postgresql": "SELECT tgname FROM pg_trigger WHERE NOT tgisinternal AND tgenabled <> 'D'",
}
