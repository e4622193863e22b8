"""Guessing passwords: who is locked out of what, for how long, and who is not."""

from datetime import timedelta
from ipaddress import ip_network
from typing import Any

import pytest
from axes.models import AccessAttempt
from django.contrib.auth.models import User
from django.test import Client
from django.utils import timezone
from knox.models import AuthToken
from rest_framework.test import APIClient

from chat.models import ActivityLog
from moderation import housekeeping
from tests.chat.conftest import signed_in
from tests.conftest import PASSWORD

TOKEN = "/api/auth/token/"
SIGN_IN = "/moderation/sign-in/"
ATTACKER, VICTIM = "203.0.113.66", "198.51.100.7"
FAILURES = 8


def through_api(address: str, password: str = "wrong", name: str = "owner", **headers: str) -> Any:
    data = {"username": name, "password": password}
    return APIClient(REMOTE_ADDR=address, headers=headers).post(TOKEN, data)


def through_dashboard(address: str, password: str = "wrong", **headers: str) -> Any:
    data = {"username": "owner", "password": password}
    return Client(REMOTE_ADDR=address, headers=headers).post(SIGN_IN, data)


def fail(times: int, address: str = ATTACKER, **headers: str) -> None:
    for _ in range(times):
        through_api(address, **headers)


def test_the_last_failure_locks_and_says_for_how_long(owner: User) -> None:
    fail(FAILURES - 1)

    last = through_api(ATTACKER)
    even_the_right_one = through_api(ATTACKER, PASSWORD)

    for response in (last, even_the_right_one):
        assert (response.status_code, response.json()["code"]) == (429, "locked_out")
        assert 890 < int(response.headers["Retry-After"]) <= 900
    assert not AuthToken.objects.exists()


def test_nobody_else_is_locked_out(owner: User, member: User) -> None:
    """Neither the victim, elsewhere, nor the others behind the attacker's address."""
    fail(FAILURES)

    assert through_api(VICTIM, PASSWORD).status_code == 200
    assert through_dashboard(VICTIM, PASSWORD).status_code == 302
    assert through_api(ATTACKER, PASSWORD, "member").status_code == 200
    assert through_api(ATTACKER, PASSWORD).status_code == 429  # the success elsewhere frees nobody


@pytest.mark.parametrize("path", [SIGN_IN, "/admin/login/"])
def test_the_dashboard_and_the_admin_count_along(path: str, owner: User) -> None:
    fail(FAILURES - 1)
    client = Client(REMOTE_ADDR=ATTACKER)
    data = {"username": "owner", "password": "wrong"}

    locked = client.post(path, data)

    assert locked.status_code == 429
    assert 890 < int(locked.headers["Retry-After"]) <= 900
    assert "another 15 minutes" in locked.content.decode()
    assert client.get(path).status_code == 200
    assert client.post(path, {**data, "password": PASSWORD}).status_code == 429
    assert through_api(ATTACKER, PASSWORD).status_code == 429


def test_it_ends_by_itself_and_trying_on_does_not_prolong_it(owner: User) -> None:
    fail(FAILURES)
    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=14))

    again = through_api(ATTACKER)
    assert again.status_code == 429
    assert int(again.headers["Retry-After"]) <= 60

    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    assert through_api(ATTACKER, PASSWORD).status_code == 200


def test_a_success_forgets_the_failures_before_it(owner: User) -> None:
    for _ in range(3):
        fail(FAILURES - 1, VICTIM)
        assert through_api(VICTIM, PASSWORD).status_code == 200


def test_changing_the_user_agent_or_the_ipv6_address_helps_nobody(owner: User) -> None:
    for number in range(FAILURES):
        through_api(f"2001:db8:1:2::{number:x}", **{"user-agent": f"browser {number}"})

    assert through_api("2001:db8:1:2:ffff::1", PASSWORD).status_code == 429
    assert through_api("2001:db8:1:3::1", PASSWORD).status_code == 200


def test_a_feigned_forwarded_address_helps_nobody(owner: User, settings: Any) -> None:
    for number in range(FAILURES):  # straight to us, feigning a proxy
        through_api(ATTACKER, **{"x-forwarded-for": f"198.51.100.{number}"})
    assert through_api(ATTACKER, PASSWORD).status_code == 429

    AccessAttempt.objects.all().delete()
    settings.BEHIND_PROXY, settings.TRUSTED_PROXIES = True, [ip_network("127.0.0.1/32")]
    for number in range(FAILURES):  # through our proxy, which writes the last one
        through_api("127.0.0.1", **{"x-forwarded-for": f"198.51.100.{number}, {ATTACKER}"})
    attacker = {"x-forwarded-for": f"{VICTIM}, {ATTACKER}"}
    assert through_api("127.0.0.1", PASSWORD, **attacker).status_code == 429
    victim = {"x-forwarded-for": VICTIM}
    assert through_api("127.0.0.1", PASSWORD, **victim).status_code == 200


def test_the_log_tells_of_each_try_and_of_the_lock_once(owner: User) -> None:
    fail(FAILURES + 20)

    entries = ActivityLog.objects.filter(action="sign_in_failed").order_by("id")
    assert len(entries) == FAILURES
    assert [entry.details.get("locked_out", False) for entry in entries] == [
        *[False] * (FAILURES - 1),
        True,
    ]
    assert {entry.ip_address for entry in entries} == {ATTACKER}


def test_failures_are_not_kept(owner: User) -> None:
    """One row for each pair, without password; gone when it no longer counts."""
    fail(FAILURES + 20)
    attempt = AccessAttempt.objects.get()
    assert "wrong" not in str(vars(attempt))

    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    through_api(VICTIM, name="nobody")
    assert AccessAttempt.objects.get().username == "nobody"

    AccessAttempt.objects.update(attempt_time=timezone.now() - timedelta(minutes=16))
    AuthToken.objects.create(user=owner, expiry=timedelta(seconds=-1))
    kept, _ = AuthToken.objects.create(user=owner)
    housekeeping.clear_expired()
    assert not AccessAttempt.objects.exists()
    assert list(AuthToken.objects.all()) == [kept]


def test_as_many_tokens_as_are_allowed(owner: User, member: User, settings: Any) -> None:
    """The oldest gives way, and none of another account."""
    settings.TOKENS_PER_USER = 2
    others = signed_in(member)
    tokens = [through_api(VICTIM, PASSWORD).json()["token"] for _ in range(3)]

    statuses = []
    for token in tokens:
        client = APIClient(headers={"authorization": f"Token {token}"})
        statuses.append(client.get("/api/chat/videos/").status_code)
    assert statuses == [401, 200, 200]
    assert others.get("/api/chat/videos/").status_code == 200


def test_signing_out_everywhere(owner: User, as_owner: APIClient, as_member: APIClient) -> None:
    other = signed_in(owner)

    assert as_owner.post("/api/auth/logoutall/").status_code == 204

    for client, status in ((as_owner, 401), (other, 401), (as_member, 200)):
        assert client.get("/api/chat/videos/").status_code == status
    entry = ActivityLog.objects.get(action="signed_out")
    assert (entry.actor, entry.details) == (owner, {"through": "api", "tokens": 2})
