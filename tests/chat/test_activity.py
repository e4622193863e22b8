"""What the activity log writes down about who asks."""

from typing import Any

import pytest
from django.db import transaction
from django.test import RequestFactory

from chat.models import ActivityLog
from chat.services import activity
from chat.services.activity import SYSTEM, client_address


@pytest.mark.parametrize(
    ("behind_proxy", "forwarded", "peer", "address"),
    [
        (False, "", "192.0.2.1", "192.0.2.1"),
        (False, "198.51.100.7", "192.0.2.1", "192.0.2.1"),  # anybody can send that header
        (True, "198.51.100.7", "192.0.2.1", "198.51.100.7"),
        (True, "203.0.113.9, 198.51.100.7", "192.0.2.1", "198.51.100.7"),  # the proxy's own word
        (True, "2001:db8::1", "192.0.2.1", "2001:db8::1"),
        (True, "", "192.0.2.1", "192.0.2.1"),
        (True, "198.51.100.7, ", "192.0.2.1", "192.0.2.1"),
        # What is no address is left out: PostgreSQL would refuse the whole entry.
        (True, "198.51.100.7:443", "192.0.2.1", None),
        (True, "unknown", "192.0.2.1", None),
        (True, "1" * 500, "192.0.2.1", None),
        (False, "", "", None),  # a socket of the machine
    ],
)
def test_client_address(
    settings: Any, behind_proxy: bool, forwarded: str, peer: str, address: str | None
) -> None:
    settings.SECURE_PROXY_SSL_HEADER = (
        ("HTTP_X_FORWARDED_PROTO", "https") if behind_proxy else None
    )
    request = RequestFactory().get(
        "/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded} if forwarded else None
    )
    assert client_address(request) == address


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
