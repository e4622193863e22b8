"""The activity log."""

import django.db.models.deletion
import django.utils.timezone
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
        ("chat", "0002_attachment"),
    ]

    operations = [
        migrations.CreateModel(
            name="ActivityLog",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                (
                    "created_at",
                    models.DateTimeField(default=django.utils.timezone.now, editable=False),
                ),
                ("action", models.CharField(help_text="an Action", max_length=40)),
                (
                    "outcome",
                    models.CharField(
                        choices=[("ok", "done"), ("refused", "refused"), ("failed", "failed")],
                        default="ok",
                        max_length=10,
                    ),
                ),
                (
                    "actor_name",
                    models.CharField(help_text="as it was at the time", max_length=150),
                ),
                ("job_id", models.BigIntegerField(blank=True, null=True)),
                ("ip_address", models.GenericIPAddressField(blank=True, null=True)),
                ("object_type", models.CharField(max_length=30)),
                ("object_id", models.BigIntegerField(blank=True, null=True)),
                ("object_label", models.CharField(blank=True, max_length=200)),
                ("details", models.JSONField(blank=True, default=dict)),
                (
                    "actor",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to=settings.AUTH_USER_MODEL,
                    ),
                ),
                (
                    "conversation",
                    models.ForeignKey(
                        db_constraint=False,
                        null=True,
                        on_delete=django.db.models.deletion.DO_NOTHING,
                        related_name="+",
                        to="chat.conversation",
                    ),
                ),
            ],
            options={
                "ordering": ["-id"],
                "indexes": [
                    models.Index(
                        fields=["object_type", "object_id", "-id"], name="activity_of_object"
                    ),
                    models.Index(fields=["actor", "-id"], name="activity_of_actor"),
                    models.Index(fields=["action", "-id"], name="activity_of_action"),
                    models.Index(fields=["created_at"], name="activity_by_time"),
                    models.Index(fields=["job_id", "-id"], name="activity_of_job"),
                ],
            },
        ),
    ]
