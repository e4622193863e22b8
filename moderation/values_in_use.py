"""The different values of a column, for the filters that offer them."""

from django.db import connection

STEP = "SELECT min({column}) FROM chat_attachment WHERE kind = 'video' AND {column} > {value}"
# Each value is found by a step in the column's index: a DISTINCT would read a million rows for
# seven values.
STEPS = f"""SELECT '{{column}}', value FROM (
    WITH RECURSIVE used(value) AS (
        {STEP.replace("{value}", "''")}
        UNION ALL
        SELECT ({STEP.replace("{value}", "used.value")}) FROM used WHERE value IS NOT NULL
    )
    SELECT value FROM used WHERE value IS NOT NULL
) AS of_{{column}}"""  # noqa: S608 - the columns are named by the code


def values_in_use(*columns: str) -> dict[str, list[str]]:
    """{column: [values]} of videos, without the empty ones, by one query."""
    found: dict[str, list[str]] = {column: [] for column in columns}
    with connection.cursor() as cursor:
        cursor.execute(" UNION ALL ".join(STEPS.format(column=column) for column in columns))
        for column, value in cursor.fetchall():
            found[column].append(value)
    return found
