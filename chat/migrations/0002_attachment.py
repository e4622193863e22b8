"""Attachments of any kind; a video is a file with a name and a size."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models

import chat.models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("chat", "0001_initial"),
    ]

    operations = [
        migrations.CreateModel(
            name="Attachment",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "file",
                    models.FileField(max_length=200, upload_to=chat.models.attachment_file_name),
                ),
                ("original_name", models.CharField(max_length=255)),
                ("content_type", models.CharField(blank=True, max_length=100)),
                ("size", models.PositiveBigIntegerField(help_text="bytes")),
                (
                    "kind",
                    models.CharField(
                        choices=[
                            ("video", "video"),
                            ("image", "image"),
                            ("audio", "audio"),
                            ("file", "file"),
                        ],
                        default="file",
                        max_length=10,
                    ),
                ),
                (
                    "duration",
                    models.FloatField(
                        blank=True, help_text="seconds; null when unknown", null=True
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                (
                    "uploaded_by",
                    models.ForeignKey(
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.CASCADE,
                        related_name="attachments",
                        to="chat.conversation",
                    ),
                ),
                (
                    "message",
                    models.ForeignKey(
                        blank=True,
                        null=True,
                        on_delete=django.db.models.deletion.SET_NULL,
                        related_name="attachments",
                        to="chat.message",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
            },
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["conversation", "-id"], name="attachment_of_conversation"),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["uploaded_by", "-id"], name="attachment_by_uploader"),
        ),
    ]
