"""The state of the sandbox in the open: each layer on, off or missing, why, how bad that is, and
whether a worker may start.  For the checks, the health page and the start of the servers."""

import logging
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from chat.services.media_helper import MediaHelper, media_helper
from chat.services.sandbox.layers import LAYERS, missing_layers

logger = logging.getLogger(__name__)

State = Literal["on", "off", "missing"]
# A layer whose loss another one makes good: without a network of its own a child still gets no
# socket from seccomp.  The reverse does not hold.
MADE_GOOD_BY = {"network_namespace": "seccomp"}


@dataclass(frozen=True, slots=True)
class LayerState:
    """One layer on this machine; ``why`` it is not on, ``stops`` in words."""

    name: str
    stops: str
    state: State
    why: str = ""
    made_good_by: str = ""  # the layer that is on and stops the same

    @property
    def words(self) -> str:
        return self.name.replace("_", " ")

    @property
    def is_lacking(self) -> bool:
        """Not on, and nothing else does its work."""
        return self.state != "on" and not self.made_good_by


def layer_states(helper: MediaHelper | None = None) -> list[LayerState]:
    """Of this process's media helper, which is started when there is none.

    Raises:
        VideoError: ``media_helper_lost``.
    """
    states = (helper or media_helper()).layer_states
    return [
        LayerState(
            name=layer.name,
            stops=layer.stops,
            state=state(states[layer.name]),
            why=why(states[layer.name]),
            made_good_by=made_good_by(layer.name, states),
        )
        for layer in LAYERS
    ]


def state(said: str) -> State:
    return "on" if said == "on" else "off" if said == "off" else "missing"


def why(said: str) -> str:
    return {"on": "", "off": "MEDIA_SANDBOX=off"}.get(said, said)


def made_good_by(name: str, states: Mapping[str, str]) -> str:
    other = MADE_GOOD_BY.get(name, "")
    return other if states[name] != "on" and states.get(other) == "on" else ""


def check_at_start(sandbox: str) -> None:
    """Called once as a server starts, while it has no threads: tries each layer in a child.

    ``sandbox`` is the setting MEDIA_SANDBOX.  Warns of missing layers; where all of them are
    required, ends the process with one sentence instead.
    """
    if sandbox == "off":
        logger.warning("MEDIA_SANDBOX=off: files are read with limits, but without a sandbox.")
        return
    missing = missing_layers(tempfile.gettempdir())
    if not missing:
        return
    words = "; ".join(f"{name} ({reason})" for name, reason in missing.items())
    if sandbox == "require":
        sys.exit(
            f"MEDIA_SANDBOX=require, and this machine lacks layers of the sandbox: {words}. "
            "Run it where they exist, or set MEDIA_SANDBOX=best-effort."
        )
    logger.warning("The sandbox around media files lacks %s: see `check --deploy`.", words)
