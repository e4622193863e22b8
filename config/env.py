"""Typed reading of environment variables; nonsense stops the process with a sentence.

Every helper takes the variable's name and a default, and raises
``ImproperlyConfigured`` that names the variable, the value and what is accepted.
"""

import ipaddress
import os
from collections.abc import Iterable
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {"1", "true", "yes", "on"}
FALSE = {"0", "false", "no", "off"}


def env_str(name: str, default: str = "") -> str:
    """The variable's text without surrounding white space."""
    return os.environ.get(name, default).strip()


def env_bool(name: str, default: bool) -> bool:
    value = env_str(name).lower()
    if not value:
        return default
    if value in TRUE:
        return True
    if value in FALSE:
        return False
    raise ImproperlyConfigured(f"{name}={value!r} is not a yes or a no: use 1 or 0.")


def env_int(name: str, default: int, *, minimum: int = 0) -> int:
    value = env_str(name)
    if not value:
        return default
    try:
        number = int(value.replace("_", ""))
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a whole number.") from None
    if number < minimum:
        raise ImproperlyConfigured(f"{name}={value!r} is too small: at least {minimum}.")
    return number


def env_float(name: str, default: float, *, minimum: float = 0.0) -> float:
    value = env_str(name)
    if not value:
        return default
    try:
        number = float(value)
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} is not a number.") from None
    if not minimum <= number < float("inf"):
        raise ImproperlyConfigured(f"{name}={value!r} is out of range: at least {minimum}.")
    return number


def env_list(name: str, default: Iterable[str] = ()) -> list[str]:
    """A comma-separated list; empty items are dropped."""
    value = env_str(name)
    return [item.strip() for item in value.split(",") if item.strip()] if value else list(default)


Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def env_networks(name: str, default: Iterable[str] = ()) -> list[Network]:
    """Addresses (``192.0.2.1``) and networks (``10.0.0.0/8``) with commas between them."""
    try:
        return [ipaddress.ip_network(item) for item in env_list(name, default)]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}={env_str(name)!r}: {error}.") from None


def env_subset(name: str, default: Iterable[str], choices: Iterable[str]) -> list[str]:
    """Some of ``choices`` with commas between them; ``none`` for none of them."""
    chosen = [item.lower() for item in env_list(name, default)]
    if chosen == ["none"]:
        return []
    if unknown := set(chosen) - set(choices):
        raise ImproperlyConfigured(
            f"{name}: {', '.join(sorted(unknown))} is none of {', '.join(choices)}."
        )
    return chosen


def env_floats(name: str, default: Iterable[float], *, minimum: float = 0.0) -> list[float]:
    """Numbers with commas between them; ``none`` for an empty list."""
    value = env_str(name)
    if value.lower() == "none":
        return []
    try:
        numbers = [float(text) for text in env_list(name)]
    except ValueError:
        raise ImproperlyConfigured(f"{name}={value!r} are not numbers with commas.") from None
    if not all(minimum <= number < float("inf") for number in numbers):
        raise ImproperlyConfigured(f"{name}={value!r} is out of range: at least {minimum}.")
    return numbers or list(default)


def env_choice(name: str, default: str, choices: Iterable[str]) -> str:
    value = env_str(name, default).lower() or default
    allowed = list(choices)
    if value not in allowed:
        raise ImproperlyConfigured(f"{name}={value!r} is not one of {', '.join(allowed)}.")
    return value


def env_path(name: str, default: Path) -> Path:
    """An absolute path; ``~`` is expanded, relative paths count from the working directory."""
    value = env_str(name)
    return Path(value).expanduser().resolve() if value else default
