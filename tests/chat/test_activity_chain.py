"""The log against those who get behind the program: triggers, and the chain that tells."""

import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from hashlib import sha256
from io import StringIO
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connection, transaction

from chat import append_only
from chat.models import ActivityLog, ActivitySeal, Conversation, UnsealedEntry
from chat.services import activity, activity_chain
from chat.services.activity import SYSTEM, Actor
from chat.services.activity_chain import COLUMNS, Head, canonical, seal_some

pytestmark = [pytest.mark.django_db, pytest.mark.every_database]
LOG, SEALS = "chat_activitylog", "chat_activityseal"
COUNT = 12


@pytest.fixture
def entries(owner: User, conversation: Conversation) -> list[int]:
    """Ids of as many sealed entries as ``COUNT``."""
    actor = Actor(user=owner, ip_address="2001:db8::7", job_id=3)
    with activity.written_together():
        for number in range(COUNT):
            details = {"z": number, "a": {"ratio": 0.1 * number, "name": "Žluťoučký \u2028"}}
            activity.record("attachment_viewed", actor, conversation, details=details)
    assert UnsealedEntry.objects.count() == COUNT
    assert seal_some() == COUNT
    assert not UnsealedEntry.objects.exists()
    return list(ActivityLog.objects.order_by("pk").values_list("pk", flat=True))


def run(sql: str, *values: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(sql, values)


@pytest.fixture
def attack() -> Callable[..., None]:
    """Statements of somebody who may take the triggers away, and puts them back."""

    def attack(*statements: str) -> None:
        append_only.remove(connection)
        for statement in statements:
            run(statement)
        append_only.install(connection)

    return attack


def verify(*arguments: str) -> str:
    output = StringIO()
    call_command("verify_activity_log", *arguments, stdout=output)
    return output.getvalue()


def broken(*arguments: str) -> str:
    with pytest.raises(CommandError) as told:
        verify(*arguments)
    assert told.value.returncode == 1
    return str(told.value)


# --- Triggers -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        f"UPDATE {LOG} SET actor_name = 'somebody else'",
        f"DELETE FROM {LOG}",
        f"UPDATE {SEALS} SET entry_id = entry_id + 100",
        f"DELETE FROM {SEALS}",
        f"TRUNCATE {LOG}",
        f"TRUNCATE {SEALS}",
    ],
)
def test_the_database_refuses_what_would_change_the_log(
    entries: list[int], statement: str
) -> None:
    before = list(ActivityLog.objects.values_list())
    words = "changed or deleted"
    if statement.startswith("TRUNCATE") and connection.vendor == "sqlite":
        words = "syntax error"  # SQLite has no such statement
    with pytest.raises(DatabaseError, match=words), transaction.atomic():
        run(statement)
    assert list(ActivityLog.objects.values_list()) == before
    assert str(COUNT) in verify()


def test_what_an_entry_tells_of_may_go(
    entries: list[int], owner: User, conversation: Conversation
) -> None:
    before = list(ActivityLog.objects.values_list())
    conversation.delete()
    owner.delete()
    assert list(ActivityLog.objects.values_list()) == before
    verify()


def test_all_triggers_are_in_force_and_a_missing_one_is_told() -> None:
    assert append_only.missing() == set()
    verify()
    append_only.remove(connection)
    assert "not in force" in broken()
    append_only.install(connection)


@pytest.mark.django_db(transaction=True)
def test_flush_is_for_tests_alone(entries: list[int]) -> None:
    call_command("flush", "--no-input", verbosity=0)
    assert not ActivityLog.objects.exists()
    assert append_only.missing() == set()


# --- The chain ----------------------------------------------------------------------------------


def test_the_chain_is_what_it_is_said_to_be(entries: list[int]) -> None:
    """Counted again from the description, without the product's own functions."""
    previous = bytes(32)
    for seal, row in zip(
        ActivitySeal.objects.all(),
        ActivityLog.objects.order_by("pk").values_list(*COLUMNS),
        strict=True,
    ):
        entry = sha256(canonical(row)).digest()
        assert bytes(seal.previous_hash) == previous
        previous = sha256(previous + seal.number.to_bytes(8, "big") + entry).digest()
        assert bytes(seal.hash) == previous
        assert seal.entry_id == row[0]
    assert str(activity_chain.head()) == f"{COUNT}:{previous.hex()}"


def test_the_canonical_form_is_pinned() -> None:
    """Another form would break every chain there is."""
    row = (
        7, datetime.fromisoformat("2026-11-24T23:05:00+01:00"), "attachment_viewed", "ok", 2,
        "žofie", None, "192.0.2.1", "attachment", 9, 'a "b".mp4', 4, {"b": [1.5, None], "a": True},
    )  # fmt: skip
    assert canonical(row).decode() == (
        '[7,"2026-11-24T22:05:00.000000+00:00","attachment_viewed","ok",2,"\\u017eofie",null,'
        '"192.0.2.1","attachment",9,"a \\"b\\".mp4",4,{"a":true,"b":[1.5,null]}]'
    )


def test_every_column_is_in_the_hash() -> None:
    columns = {field.attname for field in ActivityLog._meta.concrete_fields}
    assert set(COLUMNS) == columns


ALTERATIONS = {
    "created_at": "'2020-01-01 00:00:00'",
    "action": "'x'",
    "outcome": "'failed'",
    "actor_id": "NULL",
    "actor_name": "'somebody else'",
    "job_id": "NULL",
    "ip_address": "'192.0.2.99'",
    "object_type": "'job'",
    "object_id": "object_id + 1",
    "object_label": "''",
    "conversation_id": "NULL",
    "details": """'{"z": 5}'""",
}


@pytest.mark.parametrize("column", ALTERATIONS)
def test_an_altered_column_is_named(
    entries: list[int], attack: Callable[..., None], column: str
) -> None:
    victims = f"id IN ({entries[5]}, {entries[8]})"
    attack(f"UPDATE {LOG} SET {column} = {ALTERATIONS[column]} WHERE {victims}")
    assert broken() == f"Entry {entries[5]} (seal 6) was altered."
    verify("--until", str(entries[4]))
    assert f"Entry {entries[8]} " in broken("--from", str(entries[6]))
    verify("--from", str(entries[9]))


def attacks(ids: list[int]) -> Iterator[tuple[list[str], str]]:
    """(statements, what is named); seals are numbered from 1."""
    yield [f"DELETE FROM {LOG} WHERE id = {ids[5]}"], f"Entry {ids[5]} (seal 6) is missing."
    yield [f"DELETE FROM {LOG} WHERE id = {ids[0]}"], f"Entry {ids[0]} (seal 1) is missing."
    yield (
        [f"DELETE FROM {LOG} WHERE id = {ids[5]}", f"DELETE FROM {SEALS} WHERE number = 6"],
        "Seal 6 is missing.",
    )
    yield [f"DELETE FROM {SEALS} WHERE number = 1"], "Seal 1 is missing."
    yield [f"DELETE FROM {SEALS} WHERE number = {COUNT}"], f"Entry {ids[-1]} was slipped in"
    # Reordered: two rows change places, then two seals.
    yield (
        [
            f"UPDATE {LOG} SET id = 99999999 WHERE id = {ids[3]}",
            f"UPDATE {LOG} SET id = {ids[3]} WHERE id = {ids[7]}",
            f"UPDATE {LOG} SET id = {ids[7]} WHERE id = 99999999",
        ],
        f"Entry {ids[3]} (seal 4) was altered.",
    )
    yield (
        [
            f"UPDATE {SEALS} SET number = 99999999 WHERE number = 4",
            f"UPDATE {SEALS} SET number = 4 WHERE number = 8",
            f"UPDATE {SEALS} SET number = 8 WHERE number = 99999999",
        ],
        f"Entry {ids[7]} (seal 4) does not follow",
    )
    others = ", ".join(COLUMNS[1:])
    slipped_in = f"""INSERT INTO {LOG} (id, {others})
        SELECT 88888888, {others} FROM {LOG} WHERE id = {ids[2]}"""
    yield [slipped_in], "Entry 88888888 was slipped in"


@pytest.mark.parametrize("number", range(8))
def test_each_attack_is_named(
    entries: list[int], attack: Callable[..., None], number: int
) -> None:
    statements, named = list(attacks(entries))[number]
    attack(*statements)
    assert broken().startswith(named)


def test_an_entry_that_goes_before_it_is_sealed_is_named(
    entries: list[int], attack: Callable[..., None], owner: User
) -> None:
    last = activity.record("signed_in", SYSTEM, owner)
    assert "1 wait" in verify()
    attack(f"DELETE FROM {LOG} WHERE id = {last.pk}")
    later = activity.record("signed_out", SYSTEM, owner)
    assert seal_some() == 1  # does not stop at it
    assert activity_chain.head().number == COUNT + 1
    assert broken() == f"Entry {last.pk}, which waited for its seal, is missing."
    verify("--from", str(later.pk))


def test_a_head_kept_elsewhere_tells_of_a_chain_made_anew(
    entries: list[int], attack: Callable[..., None], owner: User
) -> None:
    kept = str(activity_chain.head())
    assert kept in verify()
    activity.record("signed_in", SYSTEM, owner)
    seal_some()
    verify("--expect", kept)
    attack(
        f"DELETE FROM {SEALS}",
        f"UPDATE {LOG} SET actor_name = 'x' WHERE id = {entries[3]}",
        f"INSERT INTO chat_unsealedentry (entry_id) SELECT id FROM {LOG}",
    )
    seal_some()
    verify()  # by itself the new chain is whole
    assert "does not contain" in broken("--expect", kept)


@pytest.mark.parametrize("text", ["", "5", "5:ab", "x:" + "ab" * 32, "-1:" + "ab" * 32])
def test_what_is_no_head(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        Head.parse(text)
    with pytest.raises(CommandError):
        verify("--expect", text)


def test_an_empty_log_is_right() -> None:
    assert "0 entries" in verify("--expect", f"0:{'0' * 64}")
    with pytest.raises(CommandError):
        verify("--from", "0")


def test_sealing_goes_on_where_it_stopped(
    entries: list[int], owner: User, django_assert_num_queries: Any
) -> None:
    with activity.written_together():
        for _ in range(7):
            activity.record("signed_in", SYSTEM, owner)
    assert [seal_some(limit=3) for _ in range(4)] == [3, 3, 1, 0]
    verify()
    output = StringIO()
    activity.record("signed_out", SYSTEM, owner)
    call_command("seal_activity_log", stdout=output)
    assert "1 sealed, 0 wait." in output.getvalue()


@pytest.mark.skipif(
    "sqlite" in settings.DATABASES["default"]["ENGINE"],
    reason="the tests' SQLite is in memory: no writers at once; see test_command_processes",
)
@pytest.mark.django_db(transaction=True)
def test_writers_and_sealers_at_once(owner: User) -> None:
    """One line without a gap, whoever seals, and rolled back entries leave no trace in it."""
    trouble: list[BaseException] = []

    def work(task: Callable[[], None]) -> threading.Thread:
        def guarded() -> None:
            try:
                task()
            except BaseException as error:
                trouble.append(error)
            finally:
                connection.close()

        thread = threading.Thread(target=guarded)
        thread.start()
        return thread

    def write() -> None:
        for number in range(15):
            with transaction.atomic(), activity.written_together():
                activity.record("signed_in", SYSTEM, owner, details={"number": number})
                activity.record("signed_out", SYSTEM, owner)
                activity.record("signed_in", SYSTEM, owner)
            with transaction.atomic():
                activity.record("signed_out", SYSTEM, owner)
                transaction.set_rollback(True)

    done = threading.Event()

    def seal() -> None:
        while not done.is_set():
            seal_some(limit=5)

    writers = [work(write) for _ in range(3)]
    sealers = [work(seal) for _ in range(3)]
    for thread in writers:
        thread.join(60)
    done.set()
    for thread in sealers:
        thread.join(60)
    while seal_some():
        pass
    assert trouble == []
    assert ActivityLog.objects.count() == ActivitySeal.objects.count() == 135
    assert activity_chain.head().number == 135
    verify()
