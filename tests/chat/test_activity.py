"""What the activity log writes down about who asks."""

from typing import Any

import pytest
from django.test import RequestFactory

from chat.services.activity import client_address


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
