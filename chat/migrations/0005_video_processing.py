"""The rest of what is known of a video, its processing state and its visibility."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0004_video_attachments"),
    ]

    operations = [
        migrations.AddField(
            model_name="attachment",
            name="container",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name="attachment",
            name="audio_codec",
            field=models.CharField(blank=True, max_length=40),
        ),
        migrations.AddField(
            model_name="attachment",
            name="frame_rate",
            field=models.FloatField(blank=True, help_text="frames a second", null=True),
        ),
        migrations.AddField(
            model_name="attachment",
            name="rotation",
            field=models.SmallIntegerField(
                default=0,
                help_text="degrees clockwise that the stored picture is turned for display",
            ),
        ),
        migrations.AddField(
            model_name="attachment",
            name="sha256",
            field=models.CharField(
                blank=True, help_text="of the file's bytes, hex", max_length=64
            ),
        ),
        migrations.AddField(
            model_name="attachment",
            name="processing_state",
            field=models.CharField(
                choices=[
                    ("pending", "pending"),
                    ("processing", "processing"),
                    ("ready", "ready"),
                    ("failed", "failed"),
                ],
                default="pending",
                max_length=10,
            ),
        ),
        migrations.AddField(
            model_name="attachment",
            name="failure_code",
            field=models.CharField(blank=True, max_length=30),
        ),
        migrations.AddField(
            model_name="attachment",
            name="failure_detail",
            field=models.TextField(blank=True, help_text="for operators"),
        ),
        migrations.AddField(
            model_name="attachment",
            name="processed_at",
            field=models.DateTimeField(blank=True, null=True),
        ),
        migrations.AddField(
            model_name="attachment",
            name="pipeline_version",
            field=models.PositiveSmallIntegerField(default=0),
        ),
        migrations.AddField(
            model_name="attachment",
            name="visibility",
            field=models.CharField(
                choices=[
                    ("visible", "visible"),
                    ("quarantined", "quarantined"),
                    ("removed", "removed"),
                ],
                default="visible",
                max_length=12,
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(
                fields=["kind", "processing_state", "id"], name="attachment_by_state"
            ),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["kind", "codec", "-id"], name="attachment_by_codec"),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["kind", "duration", "-id"], name="attachment_by_duration"),
        ),
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["sha256"], name="attachment_by_sha256"),
        ),
        migrations.AddConstraint(
            model_name="attachment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("height", None), ("width", None)),
                    models.Q(("height__gt", 0), ("width__gt", 0)),
                    _connector="OR",
                ),
                name="attachment_dimensions_whole",
            ),
        ),
        migrations.AddConstraint(
            model_name="attachment",
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(("failure_code__gt", ""), ("processing_state", "failed")),
                    models.Q(
                        models.Q(("processing_state", "failed"), _negated=True),
                        ("failure_code", ""),
                    ),
                    _connector="OR",
                ),
                name="attachment_failure_has_code",
            ),
        ),
    ]
