"""How many requests a minute: of one person by kind of request, and of one address at all.

Counted by the minutes of the clock in the cache, which all processes share; one atomic increment
for each count.  The limits are ``REQUESTS_PER_MINUTE``.
"""

from time import time
from typing import Any

from django.conf import settings
from django.core.cache import cache
from rest_framework.exceptions import Throttled
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from chat.services.client_address import network_of_client

MINUTE = 60  # seconds


def count(scope: str, who: str) -> None:
    """Count one more request in this minute.

    Raises:
        Throttled: it is one too many; with the seconds until the next minute.
    """
    if not settings.THROTTLE:
        return
    minute, second = divmod(int(time()), MINUTE)
    key = f"requests:{scope}:{who}:{minute}"
    try:
        number = cache.incr(key)
    except ValueError:  # the first in this minute, unless another one was faster
        cache.add(key, 0, timeout=2 * MINUTE)
        number = cache.incr(key)
    if number > settings.REQUESTS_PER_MINUTE[scope]:
        raise Throttled(wait=MINUTE - second)


def count_address(request: Request) -> None:
    """Count a request before anything is known of it, so also one with a wrong token."""
    count("address", str(network_of_client(request._request)))


class Throttle(BaseThrottle):
    """Counts for the person, else for the address, by ``scope_of`` the view."""

    def allow_request(self, request: Request, view: Any) -> bool:
        user = request.user
        who = f"user-{user.pk}" if user and user.pk else network_of_client(request._request)
        count(view.scope_of(request), str(who))
        return True
