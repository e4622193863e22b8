"""Triggers that keep the activity log and its seals as they are, and the list of what is to be
sealed: all entries that exist.  Indexes for the filters of the activity page."""

from typing import Any

from django.db import migrations, models

from chat import append_only


def install(_apps: Any, schema_editor: Any) -> None:
    append_only.install(schema_editor.connection)


def remove(_apps: Any, schema_editor: Any) -> None:
    append_only.remove(schema_editor.connection)


def index(name: str, *fields: str, only: str = "") -> migrations.AddIndex:
    condition = models.Q(**{f"{only}__isnull": False}) if only else None
    return migrations.AddIndex(
        "activitylog", models.Index(fields=list(fields), name=name, condition=condition)
    )


class Migration(migrations.Migration):
    dependencies = [("chat", "0010_moderation_state")]

    operations = [
        migrations.CreateModel(
            "ActivitySeal",
            [
                ("number", models.BigAutoField(primary_key=True, serialize=False)),
                ("entry_id", models.BigIntegerField(unique=True)),
                ("previous_hash", models.BinaryField(max_length=32)),
                ("hash", models.BinaryField(max_length=32)),
            ],
            options={"ordering": ["number"]},
        ),
        migrations.CreateModel(
            "UnsealedEntry",
            [("entry_id", models.BigAutoField(primary_key=True, serialize=False))],
            options={"ordering": ["entry_id"]},
        ),
        index("activity_of_type", "object_type", "-id"),
        index("activity_of_name", "actor_name", "-id"),
        index("activity_of_outcome", "outcome", "-id"),
        index("activity_of_conversation", "conversation", "-id", only="conversation"),
        index("activity_of_address", "ip_address", "-id", only="ip_address"),
        migrations.RunPython(install, remove),
        migrations.RunSQL(
            "INSERT INTO chat_unsealedentry (entry_id) SELECT id FROM chat_activitylog",
            migrations.RunSQL.noop,
        ),
    ]
