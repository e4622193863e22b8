from django.apps import AppConfig
from django.db.models.signals import post_migrate, pre_migrate


class ChatConfig(AppConfig):
    name = "chat"

    def ready(self) -> None:
        from chat import checks, video_text  # noqa: F401  (registers the system checks)

        pre_migrate.connect(video_text.before_migrate, sender=self)
        post_migrate.connect(video_text.after_migrate, sender=self)
