from typing import Any

from django.core.management.commands import flush
from django.db import connections

from chat import append_only


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        append_only.remove(connection)
        try:
            super().handle(**options)
        finally:
            append_only.install(connection)
