"""What the specification adds to an attachment for video; attachments from before are legacy."""

from django.db import migrations, models

import chat.models


class Migration(migrations.Migration):
    dependencies = [
        ("chat", "0003_activity_log"),
    ]

    operations = [
        migrations.AddField(
            model_name="attachment",
            name="thumbnail",
            field=models.ImageField(
                blank=True, max_length=200, upload_to=chat.models.poster_file_name
            ),
        ),
        migrations.AddField(
            model_name="attachment",
            name="width",
            field=models.PositiveIntegerField(
                blank=True, help_text="pixels, as displayed", null=True
            ),
        ),
        migrations.AddField(
            model_name="attachment",
            name="height",
            field=models.PositiveIntegerField(
                blank=True, help_text="pixels, as displayed", null=True
            ),
        ),
        migrations.AddField(
            model_name="attachment",
            name="bitrate",
            field=models.PositiveIntegerField(blank=True, help_text="kbps", null=True),
        ),
        migrations.AddField(
            model_name="attachment",
            name="codec",
            field=models.CharField(blank=True, help_text="of the video stream", max_length=40),
        ),
    ]
