"""Where the web server listens, and whether it can."""

import errno
import socket

from django.core.exceptions import ImproperlyConfigured

from config.env import env_int, env_str


class AddressUnavailable(Exception):
    """Nothing can listen there; the message says why and what to do."""


def configured_address() -> tuple[str, int]:
    """HOST and PORT from the environment."""
    port = env_int("PORT", 8000, minimum=1)
    if port > 65535:
        raise ImproperlyConfigured(f"PORT={port} is too big: at most 65535.")
    return env_str("HOST") or "127.0.0.1", port


def bind_address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def site_url(host: str, port: int) -> str:
    """The address to type into a browser on this machine."""
    everywhere = host in {"0.0.0.0", "::"}  # noqa: S104
    return f"http://{bind_address('localhost' if everywhere else host, port)}/"


def check_free(host: str, port: int) -> None:
    """Raise AddressUnavailable unless a server could listen there now."""
    try:
        family, kind, *_rest, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except socket.gaierror:
        raise AddressUnavailable(f"HOST={host!r} is no address of this machine.") from None
    except PermissionError:
        raise AddressUnavailable(
            f"Port {port} may be used by the administrator only: choose one from 1024 on, "
            f"for example `make run PORT={port + 8000}`."
        ) from None
    except OSError as error:
        if error.errno != errno.EADDRINUSE:
            raise AddressUnavailable(f"HOST={host!r} cannot be used: {error.strerror}.") from None
        other = port + 1 if port < 65535 else port - 1
        raise AddressUnavailable(
            f"Port {port} is taken by another program: choose another one, "
            f"for example `make run PORT={other}`."
        ) from None
