"""What the activity log writes down about who asks."""

from ipaddress import ip_network
from typing import Any

import pytest
from django.db import transaction
from django.test import RequestFactory

from chat.models import ActivityLog
from chat.services import activity
from chat.services.activity import SYSTEM
from chat.services.client_address import client_address, network_of_client


@pytest.mark.parametrize(
    ("behind_proxy", "forwarded", "peer", "address"),
    [
        (False, "", "192.0.2.1", "192.0.2.1"),
        (False, "198.51.100.7", "192.0.2.1", "192.0.2.1"),  # anybody can send that header
        (True, "198.51.100.7", "127.0.0.1", "198.51.100.7"),
        (True, "198.51.100.7", "", "198.51.100.7"),  # the proxy comes by a socket
        (True, "203.0.113.9, 198.51.100.7", "127.0.0.1", "198.51.100.7"),  # the proxy's own word
        (True, "203.0.113.9, 198.51.100.7, 10.1.2.3", "127.0.0.1", "198.51.100.7"),  # two of ours
        (True, "10.1.2.3, 198.51.100.7", "127.0.0.1", "198.51.100.7"),  # one of them feigned
        (True, "10.1.2.3", "127.0.0.1", "10.1.2.3"),
        (True, "198.51.100.7", "192.0.2.1", "192.0.2.1"),  # who comes past the proxy
        (True, "2001:db8::1", "::1", "2001:db8::1"),
        (True, "2001:db8::1", "::ffff:127.0.0.1", "2001:db8::1"),
        (True, "::ffff:198.51.100.7", "127.0.0.1", "198.51.100.7"),
        (True, "", "127.0.0.1", "127.0.0.1"),
        (True, "198.51.100.7, ", "127.0.0.1", "198.51.100.7"),
        # What is no address is left out: PostgreSQL would refuse the whole entry.
        (True, "198.51.100.7:443", "127.0.0.1", None),
        (True, "198.51.100.9, unknown", "127.0.0.1", None),
        (True, "fe80::1%eth0", "127.0.0.1", None),
        (True, "1" * 500, "127.0.0.1", None),
        (False, "", "", None),  # a socket of the machine
    ],
)
def test_client_address(
    settings: Any, behind_proxy: bool, forwarded: str, peer: str, address: str | None
) -> None:
    settings.BEHIND_PROXY = behind_proxy
    settings.TRUSTED_PROXIES += [ip_network("10.0.0.0/8")]
    request = RequestFactory().get(
        "/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded} if forwarded else None
    )
    assert client_address(request) == address


@pytest.mark.parametrize(
    ("peer", "counted"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::9", "2001:db8:1:2::"),
        ("", None),
    ],
)
def test_what_counts_as_one_address(peer: str, counted: str | None) -> None:
    assert network_of_client(RequestFactory().get("/", REMOTE_ADDR=peer)) == counted


@pytest.mark.django_db(transaction=True)
def test_entries_written_together_are_written_once_in_order_or_not_at_all(
    owner, django_assert_num_queries
):
    with django_assert_num_queries(3), transaction.atomic(), activity.written_together():
        for number in range(3):
            activity.record("message_sent", SYSTEM, owner, details={"number": number})
    told = ActivityLog.objects.order_by("pk").values_list("details", flat=True)
    assert [details["number"] for details in told] == [0, 1, 2]
    with (  # noqa: PT012
        pytest.raises(RuntimeError),
        transaction.atomic(),
        activity.written_together(),
    ):
        activity.record("message_sent", SYSTEM, owner)
        raise RuntimeError
    assert ActivityLog.objects.count() == 3
    activity.record("message_sent", SYSTEM, owner)
    assert ActivityLog.objects.count() == 4
