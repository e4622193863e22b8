"""Lists of a million videos: an index for each order and filter, and one for searching the text."""

from typing import Any

import django.db.models.deletion
import django.db.models.functions.text
from django.conf import settings
from django.db import migrations, models

from chat import video_text


def create_texts(_apps: Any, schema_editor: Any) -> None:
    video_text.create(schema_editor.connection)


def drop_texts(_apps: Any, schema_editor: Any) -> None:
    video_text.drop(schema_editor.connection)


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0013_resumable_uploads"),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name="VideoText",
            fields=[
                (
                    "attachment",
                    models.OneToOneField(
                        db_column="rowid",
                        db_constraint=False,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        primary_key=True,
                        related_name="text",
                        serialize=False,
                        to="chat.attachment",
                    ),
                ),
                ("body", models.TextField()),
            ],
            options={
                "db_table": "chat_videotext",
                "managed": False,
            },
        ),
        migrations.RemoveIndex(
            model_name="attachment",
            name="attachment_by_uploader",
        ),
        migrations.RemoveIndex(
            model_name="attachment",
            name="attachment_by_codec",
        ),
        migrations.RemoveIndex(
            model_name="attachment",
            name="attachment_by_duration",
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["kind", "original_name", "id"], name="attachment_by_name"),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["kind", "duration", "id"], name="attachment_by_length"),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["kind", "size", "id"], name="attachment_by_size"),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["kind", "bitrate", "id"], name="attachment_by_bitrate"),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "width", "height", "id"], name="attachment_by_width"
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["kind", "height", "id"], name="attachment_by_height"),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                models.F("kind"),
                models.F("width") - models.F("height"),
                models.F("id"),
                name="attachment_by_shape",
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                models.F("kind"),
                django.db.models.functions.text.Length("thumbnail"),
                models.F("created_at"),
                models.F("id"),
                name="attachment_poster",
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "codec", "created_at", "id"], name="video_codec_date"
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "audio_codec", "created_at", "id"], name="video_audio_codec_date"
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "container", "created_at", "id"], name="video_container_date"
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "processing_state", "created_at", "id"],
                name="video_processing_state_date",
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "failure_code", "created_at", "id"], name="video_failure_code_date"
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "visibility", "created_at", "id"], name="video_visibility_date"
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "uploaded_by", "created_at", "id"], name="video_uploaded_by_date"
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "conversation", "created_at", "id"], name="video_conversation_date"
            ),
        ),
        migrations.AddIndex(
            model_name="rendition",
            index=models.Index(fields=["kind", "file"], name="rendition_stored_by_kind"),
        ),
        migrations.RunPython(create_texts, drop_texts),
    ]
