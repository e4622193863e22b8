from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("moderation", "0005_steerable_jobs"),
    ]

    operations = [
        migrations.CreateModel(
            name="PeriodicRun",
            fields=[
                (
                    "id",
                    models.BigAutoField(
                        auto_created=True, primary_key=True, serialize=False, verbose_name="ID"
                    ),
                ),
                ("name", models.CharField(max_length=100, unique=True)),
                ("begun_at", models.DateTimeField()),
            ],
        ),
        migrations.AlterField(
            model_name="workerseen",
            name="host",
            field=models.CharField(max_length=100),
        ),
        migrations.AddField(
            model_name="workerseen",
            name="queue",
            field=models.CharField(default="jobs", max_length=20),
        ),
        migrations.AddConstraint(
            model_name="workerseen",
            constraint=models.UniqueConstraint(
                fields=("host", "queue"), name="worker_seen_once_per_queue"
            ),
        ),
    ]
