"""`flush`, which Django calls after each transactional test, in a tenth of its time.

Rows are deleted, since there are few: PostgreSQL's TRUNCATE makes new files for every table.  What
`migrate` fills again after each flush (content types, permissions) is kept instead.  The triggers
of the append-only tables are out of force for as long as it lasts.
"""

from typing import Any

from django.contrib.auth.models import Permission
from django.contrib.contenttypes.models import ContentType
from django.core.management.commands import flush
from django.db import connections, transaction

from chat import append_only

KEPT = {ContentType._meta.db_table, Permission._meta.db_table}


class Command(flush.Command):
    def handle(self, **options: Any) -> None:
        connection = connections[options["database"]]
        tables = connection.introspection.django_table_names(
            only_existing=True, include_views=False
        )
        on_postgresql = connection.vendor == "postgresql"
        with transaction.atomic(options["database"]), connection.cursor() as cursor:
            if on_postgresql:
                cursor.execute("SET LOCAL session_replication_role = replica")  # no triggers
            else:
                append_only.remove(connection)
            for table in set(tables) - KEPT:
                cursor.execute(f"DELETE FROM {connection.ops.quote_name(table)}")
            if not on_postgresql:
                append_only.install(connection)
