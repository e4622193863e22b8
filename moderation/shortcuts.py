"""The keys of the dashboard as "?" shows them on every page: all there are, by where they work.

How elements take their keys is in ``static/js/keys.js``; a test compares this list with them.
"""

from collections.abc import Mapping

from django.contrib.auth.models import AbstractBaseUser, AnonymousUser

from moderation.navigation import places_for

# {where: {keys: what they do}}; a space stands between keys pressed one after the other, a plus
# between keys pressed together.
SHORTCUTS: Mapping[str, Mapping[str, str]] = {
    "Everywhere": {
        "/": "Search videos",
        "?": "Show the keys",
        "Ctrl+K": "Commands, saved views, any video",
        "Esc": "Close what is open",
    },
    "In a list": {
        "j": "Next row",
        "k": "Previous row",
        "Enter": "Open the row",
        "x": "Select the row",
        "m": "More that can be done with the row",
        "b": "Reveal or hide the picture",
        "← →": "Scrub through the video, in the grid",
        "f": "Filters",
        "v": "Save this view",
    },
    "With the row, or what is selected": {
        "q": "Quarantine",
        "r": "Restore",
        "d": "Remove",
        "u": "Undo that",
    },
    "On a video": {
        "j": "Next video of the list",
        "k": "Previous video of the list",
        "q": "Quarantine",
        "r": "Restore",
        "d": "Remove",
        "n": "Dismiss the reports",
        "u": "Undo the decision",
    },
    "Player": {
        "b": "Reveal or hide the video",
        "B": "Play it blurred; blur it or not",
        "c": "Colour or none",
        "p": "Play or pause",
        "m": "Sound or none",
        ",": "One frame back",
        ".": "One frame on",
        "t": "To the moment asked for",
        "F": "Fullscreen or not",
    },
}


def shortcuts_for(user: AbstractBaseUser | AnonymousUser) -> dict[str, Mapping[str, str]]:
    """Those that this person can use, with the places one may go to."""
    return {**SHORTCUTS, "Go to": {place.key: place.label for place in places_for(user)}}
