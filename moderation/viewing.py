"""How one video is shown to one person: hidden until revealed, and from which moment."""

from dataclasses import dataclass

from django.http import HttpRequest

from chat.models import Attachment
from chat.rendition import Rendition
from moderation.protection import Protection, count_reveal, protection_for

# ?reveal=… of the page, which works without JavaScript too; the answer of one request only.
CLEAR, BLURRED = "clear", "blurred"


@dataclass(frozen=True, slots=True)
class Viewing:
    """``hidden``: nothing of the video is on the page but its blurred stand-in.  ``blurred``: it
    plays, painted blurred.  ``start_seconds``: where to begin, as a report or a link says."""

    protection: Protection
    hidden: bool
    blurred: bool
    start_seconds: float | None
    storyboard: Rendition | None

    @property
    def classes(self) -> str:
        """Of the player's frame."""
        names = {
            "is-grey": self.protection.greyscale,
            "is-small": self.protection.small,
            "is-blurred": self.blurred,
        }
        return " ".join(name for name, applies in names.items() if applies)


def viewing_of(request: HttpRequest, attachment: Attachment) -> Viewing:
    """What ``?reveal=clear|blurred`` and ``?t=seconds`` ask for; a reveal is counted."""
    protection = protection_for(request)
    asked = request.GET.get("reveal", "")
    revealed = asked in (CLEAR, BLURRED)
    if revealed and protection.blur:
        count_reveal(request)
    return Viewing(
        protection=protection,
        hidden=protection.blur and not revealed,
        blurred=asked == BLURRED,
        start_seconds=moment(request.GET.get("t", "")),
        storyboard=attachment.stored_rendition(Rendition.Kind.STORYBOARD),
    )


def moment(text: str) -> float | None:
    """Seconds from the start; None for what is no such number."""
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if 0 <= seconds < 10**6 else None
