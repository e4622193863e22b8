"""System checks (`manage.py check`): what the media road needs from the machine.

The plain check only looks; ``--deploy`` starts the media helper and runs the hostile stand-in.
"""

import shutil
import sys
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Warning, register

from chat.errors import VideoError
from chat.services import fingerprinting, media_self_test, sandbox_state
from chat.services.sandbox_state import LayerState

SANDBOX_HINT = (
    "See “The sandbox” in docs/VIDEO_SETUP_GUIDE.md; `manage.py media_self_test` retries."
)

MEDIA = "media"  # the tag of those that a worker needs too


@register(MEDIA)
def media_tools(**_kwargs: Any) -> list[CheckMessage]:
    """ffmpeg and ffprobe can be found."""
    return [
        Warning(
            f"{name}={binary!r} is not on this machine: videos cannot be read.",
            hint=f"Install ffmpeg (4.0 or newer), or set {name} to where it is.",
            id="chat.W001",
        )
        for name, binary in (
            ("FFMPEG_BINARY", settings.FFMPEG_BINARY),
            ("FFPROBE_BINARY", settings.FFPROBE_BINARY),
        )
        if shutil.which(binary) is None
    ]


@register(MEDIA)
def fingerprints(**_kwargs: Any) -> list[CheckMessage]:
    """The library behind perceptual fingerprints is there; everything else works without."""
    reason = fingerprinting.missing_because()
    return [Info(reason, id="chat.I002")] if reason else []


@register(deploy=True)
def second_factor(**_kwargs: Any) -> list[CheckMessage]:
    """Whoever gives roles, and sees everything, should need more than a password."""
    if settings.REQUIRE_2FA != "none":
        return []
    return [
        Info(
            "Admins may sign in with a password alone.",
            hint="REQUIRE_2FA=admins asks them for a second factor, staff all of the dashboard.",
            id="chat.I004",
        )
    ]


@register(deploy=True)
def media_sandbox(**_kwargs: Any) -> list[CheckMessage]:
    """Each layer around untrusted files, and what the hostile stand-in gets through."""
    if sys.platform != "linux":
        return [
            Info(
                "The layers of the sandbox are Linux's: this machine has none of them.",
                hint=SANDBOX_HINT,
                id="chat.I003",
            )
        ]
    try:
        layers = sandbox_state.layer_states()
    except VideoError as error:
        return [Error(f"{error.outcome.operator} {error.detail}".strip(), id="chat.E004")]
    found = list(layer_messages(layers))
    if settings.MEDIA_SANDBOX == "require" and found:
        return found  # nothing is read on this machine, so nothing can be tried
    return found + list(stand_in_messages())


def layer_messages(layers: list[LayerState]) -> Iterator[CheckMessage]:
    for layer in layers:
        if layer.state == "on":
            continue
        words = f"Sandbox layer {layer.words} is {layer.state} ({layer.why})"
        if settings.MEDIA_SANDBOX == "require":
            yield Error(
                f"{words}: with MEDIA_SANDBOX=require no worker starts here.",
                hint=SANDBOX_HINT,
                id="chat.E003",
            )
        elif layer.is_lacking:
            yield Warning(
                f"{words}: a broken decoder is not kept from {layer.stops}.",
                hint=SANDBOX_HINT,
                id="chat.W003",
            )
        else:
            yield Info(
                f"{words}: {layer.made_good_by} stops the same.", hint=SANDBOX_HINT, id="chat.I003"
            )


def stand_in_messages() -> Iterator[CheckMessage]:
    severity, letter = (Error, "E") if settings.MEDIA_SANDBOX == "require" else (Warning, "W")
    found = media_self_test.try_this_machine()
    if found.trouble:
        yield severity(
            f"The sandbox could not be tried: {found.trouble}",
            hint=SANDBOX_HINT,
            id=f"chat.{letter}004",
        )
    for attempt in found.got_through:
        yield severity(
            f"The hostile stand-in could {attempt.words}; {attempt.stopped_by} would stop it.",
            hint=SANDBOX_HINT,
            id=f"chat.{letter}005",
        )
