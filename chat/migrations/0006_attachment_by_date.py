"""The order of the dashboard's list, newest first, without sorting the whole table."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("chat", "0005_video_processing")]

    operations = [
        migrations.AddIndex(
            model_name="attachment",
            index=models.Index(fields=["kind", "-created_at", "-id"], name="attachment_by_date"),
        ),
    ]
