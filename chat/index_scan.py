"""Conditions written so that a database stays on the index along which a list is read."""

from collections.abc import Sequence
from typing import Any

from django.db.models import BooleanField, F, Func, Q, Value


def tested(condition: Q) -> Func:
    """``condition``, tested on each row and never looked up in an index.

    Databases guess how many rows match, and leave an order's index, where 25 rows are found after
    some hundreds, for one in which they find and sort half a million.  They keep an index for the
    condition itself, not for the question whether it is true.
    """
    return Func(condition, template="(%(expressions)s) IS TRUE", output_field=BooleanField())


class Beyond(Func):
    """Rows whose ``fields``, taken together as in a sorted list, come after ``values``; with
    ``downwards`` before them.  A row that does not know one of the fields is not among them.

    A row value: both databases seek its place in an index of these fields.
    """

    output_field = BooleanField()

    def __init__(self, fields: Sequence[str], values: Sequence[Any], *, downwards: bool) -> None:
        super().__init__(*map(F, fields), *map(Value, values))
        self.comparison = "<" if downwards else ">"

    def as_sql(self, compiler: Any, connection: Any, *_rest: Any, **_more: Any) -> Any:
        compiled = [compiler.compile(each) for each in self.get_source_expressions()]
        half = len(compiled) // 2
        row, values = (
            f"({', '.join(sql for sql, _ in part)})" for part in (compiled[:half], compiled[half:])
        )
        return f"{row} {self.comparison} {values}", [p for _, params in compiled for p in params]
