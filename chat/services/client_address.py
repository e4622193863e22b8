"""From which address a request comes: what the connection says, and proxies of ours."""

import ipaddress

from django.conf import settings
from django.http import HttpRequest

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

# One customer of a provider has at least so much of IPv6 to choose addresses from.
IPV6_NETWORK_BITS = 64


def client_address(request: HttpRequest) -> str | None:
    """The client's IP address; None for what is no address, such as one with a port.

    Behind a proxy, X-Forwarded-For is read from its end, where each proxy writes from whom it got
    the request: the first address that is not one of ``TRUSTED_PROXIES`` is the client's.  What
    stands before it anybody can have written.
    """
    peer = request.META.get("REMOTE_ADDR", "")
    if not settings.BEHIND_PROXY or not is_trusted(peer):
        return text_of(parsed(peer))
    hops = request.META.get("HTTP_X_FORWARDED_FOR", "").split(",")
    for hop in reversed([hop.strip() for hop in hops if hop.strip()]):
        peer = hop
        if not is_trusted(hop):
            break
    return text_of(parsed(peer))


def network_of_client(request: HttpRequest) -> str | None:
    """What is counted as one address: IPv4 itself, of IPv6 the network of one customer."""
    address = parsed(client_address(request) or "")
    if isinstance(address, ipaddress.IPv6Address):
        network = ipaddress.ip_network((address, IPV6_NETWORK_BITS), strict=False)
        return str(network.network_address)
    return text_of(address)


def is_trusted(text: str) -> bool:
    """Whether it is a proxy of ours; a connection without address comes through a local socket."""
    if not text:
        return True
    address = parsed(text)
    return address is not None and any(address in net for net in settings.TRUSTED_PROXIES)


def parsed(text: str) -> Address | None:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            return None  # no database takes it
        return address.ipv4_mapped or address
    return address


def text_of(address: Address | None) -> str | None:
    return None if address is None else str(address)
