from django.apps import AppConfig


class ModerationConfig(AppConfig):
    name = "moderation"

    def ready(self) -> None:
        from chat.services import wakeups
        from moderation import tasks

        wakeups.on_ready_video(tasks.make_renditions)
