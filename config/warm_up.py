"""What a process that answers requests does once, before the first of them."""

import gc
from pathlib import Path
from typing import Any

from django.conf import settings
from django.template.loader import get_template
from django.urls import get_resolver


def warm_up() -> None:
    """Load what requests need (views behind the addresses, templates), and take all that is
    loaded by now out of the garbage collector's sight.

    It stays until the process ends, 140,000 objects and more, and Python would walk through them
    with every full collection: 70 to 130 ms, in the middle of every tenth request or so.
    """
    load_addresses(get_resolver())
    folders: Any = settings.TEMPLATES[0]["DIRS"]
    for folder in folders:
        for template in Path(folder).rglob("*.html"):
            get_template(template.relative_to(folder).as_posix())
    gc.collect()
    gc.freeze()


def load_addresses(resolver: Any) -> None:
    """Import the modules that are named in it; Django does so with the first request."""
    for pattern in resolver.url_patterns:
        if hasattr(pattern, "url_patterns"):
            load_addresses(pattern)
