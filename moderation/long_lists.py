"""Pages of lists that may hold a million rows, without counting them all."""

from collections.abc import Sequence
from typing import Any

from django.core.paginator import Page, Paginator
from django.db import connection
from django.db.models import QuerySet
from django.http import HttpRequest
from django_tables2 import Table

COUNT_LIMIT = 10_000
# Under several filters each row is looked at: found by one of them, or walked to.
LIMIT_OF_SEVERAL = 1_000
PAGE_SIZES = (25, 50, 100)

Sql = tuple[str, Sequence[Any]]  # a statement and its parameters


def bounded_count(queryset: QuerySet[Any], limit: int = COUNT_LIMIT) -> int:
    """How many rows, but never more than ``limit + 1``, which means "more than limit"."""
    return queryset.order_by()[: limit + 1].count()


def bounded_counts(querysets: Sequence[QuerySet[Any]], limits: int | Sequence[int]) -> list[int]:
    """The same of several, by one query; with one limit, or one for each."""
    if isinstance(limits, int):
        limits = [limits] * len(querysets)
    counted = zip(querysets, limits, strict=True)
    return in_one_query([count_of(queryset, limit) for queryset, limit in counted])


def count_of(queryset: QuerySet[Any], limit: int) -> Sql:
    sql, params = queryset.order_by().values("pk")[: limit + 1].query.sql_with_params()
    return f"SELECT count(*) FROM ({sql}) AS bounded", params  # noqa: S608


def value_of(queryset: QuerySet[Any]) -> Sql:
    """Of its first row; it has one column."""
    sql, params = queryset[:1].query.sql_with_params()
    return sql, params


def in_one_query(selects: Sequence[Sql]) -> list[Any]:
    """The one value that each of them selects, None where it selects nothing."""
    if not selects:
        return []
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {', '.join(f'({sql})' for sql, _ in selects)}",
            [param for _, params in selects for param in params],
        )
        return list(cursor.fetchone())


class LongListPaginator(Paginator):
    """Knows the count up to ``COUNT_LIMIT``; beyond that it only looks one page ahead.

    A number outside the list gives its first or last page: a filter may have shortened it.
    """

    def __init__(self, rows: Any, per_page: int, queryset: QuerySet[Any]) -> None:
        super().__init__(rows, per_page)
        self.queryset = queryset
        self.count = bounded_count(queryset)
        self.exact = self.count <= COUNT_LIMIT
        self._pages = max(1, -(-min(self.count, COUNT_LIMIT) // self.per_page))

    @property
    def num_pages(self) -> int:
        return self._pages

    def page(self, number: int | str) -> Page[Any]:
        wanted = max(1, int(number))
        if not self.exact and wanted >= self._pages:
            self._look_beyond(wanted)
        wanted = min(wanted, self._pages)
        start = (wanted - 1) * self.per_page
        return Page(self.object_list[start : start + self.per_page], wanted, self)

    def _look_beyond(self, wanted: int) -> None:
        """Learn whether page ``wanted`` and the one after it exist."""
        start = (wanted - 1) * self.per_page
        seen = self.queryset.values_list("pk")[start : start + self.per_page + 1].count()
        if seen:
            self._pages = wanted + (1 if seen > self.per_page else 0)
        else:
            self.count = self.queryset.order_by().count()
            self.exact = True
            self._pages = max(1, -(-self.count // self.per_page))


def turn_to_page(table: Table, request: HttpRequest) -> None:
    """Sort and page ``table`` as the URL says; nonsense in the URL means the default."""
    if sort := request.GET.getlist("sort"):
        table.order_by = sort
    per_page = whole_number(request.GET.get("per_page"), PAGE_SIZES[0])
    table.request = request
    table.paginate(
        paginator_class=LongListPaginator,
        per_page=per_page if per_page in PAGE_SIZES else PAGE_SIZES[0],
        page=whole_number(request.GET.get("page"), 1),
        queryset=table.data.data,
    )


def whole_number(text: str | None, default: int) -> int:
    """``text`` as a number that a database can carry, else ``default``."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 16 else default
