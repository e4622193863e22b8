from django.apps import AppConfig
from django.db.models.signals import post_migrate


class ModerationConfig(AppConfig):
    name = "moderation"

    def ready(self) -> None:
        from chat.services import wakeups
        from moderation import queues, tasks

        wakeups.on_ready_video(tasks.make_renditions)
        post_migrate.connect(lambda **_sent: queues.create_tables(), sender=self, weak=False)
