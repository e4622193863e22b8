"""Tries the sandbox of this machine with a hostile stand-in, layer by layer."""

import json
import sys
from typing import IO, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandParser
from rich.console import Console
from rich.table import Table

from chat.errors import VideoError
from chat.services import sandbox_state
from chat.services.media_self_test import SelfTest, try_this_machine
from chat.services.sandbox_state import LayerState


class Command(BaseCommand):
    help = (
        "Show each layer of the sandbox around media files, and let a hostile stand-in try what a "
        "broken decoder could.  Exit status: 0 all is denied and no layer is lacking, 1 otherwise."
    )
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="one JSON object, nothing else")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            layers = sandbox_state.layer_states()
        except VideoError:  # the attempts tell why
            layers = []
        found = try_this_machine()
        if options["json"]:
            self.stdout.write(json.dumps(as_json(layers, found)))
        else:
            self.show(layers, found)
        sys.exit(0 if is_sound(layers, found) else 1)

    def show(self, layers: list[LayerState], found: SelfTest) -> None:
        console = Console(file=cast("IO[str]", self.stdout), highlight=False)
        states = Table("Layer", "State", "Stops", "Why not", title=f"Sandbox of {found.host}")
        for layer in layers:
            why = f"{layer.why}; {layer.made_good_by} stops the same" if layer.made_good_by else ""
            states.add_row(layer.words, layer.state, layer.stops, why or layer.why)
        console.print(states)
        tried = Table("A broken decoder tries to", "Outcome", "Stopped by", title="Stand-in")
        for attempt in found.attempts:
            outcome = f"denied ({attempt.denied})" if attempt.denied else "GOT THROUGH"
            tried.add_row(attempt.words, outcome, attempt.stopped_by)
        console.print(tried)
        if found.trouble:
            console.print(f"It could not be tried: {found.trouble}")
        console.print(verdict(layers, found))


def is_sound(layers: list[LayerState], found: SelfTest) -> bool:
    return found.passed and not any(layer.is_lacking for layer in layers)


def verdict(layers: list[LayerState], found: SelfTest) -> str:
    if is_sound(layers, found):
        return "Sound: nothing got through."
    lacking = ", ".join(layer.words for layer in layers if layer.is_lacking)
    through = ", ".join(attempt.words for attempt in found.got_through)
    return (
        f"Not sound (MEDIA_SANDBOX={settings.MEDIA_SANDBOX}). "
        f"Lacking: {lacking or 'nothing'}. Got through: {through or 'nothing'}."
    )


def as_json(layers: list[LayerState], found: SelfTest) -> dict[str, Any]:
    return {
        "sound": is_sound(layers, found),
        "layers": [
            {
                "name": layer.name,
                "state": layer.state,
                "why": layer.why,
                "stops": layer.stops,
                "made_good_by": layer.made_good_by,
            }
            for layer in layers
        ],
        **found.to_json(),
    }
