"""What the video page plays: the original, or a copy that browsers play, and why."""

from dataclasses import dataclass

from chat.models import Attachment
from chat.rendition import Rendition
from chat.services.browser_support import PLAYABLE, browser_plays
from moderation.words import codec_words, container_words

SOMETIMES = {
    "hevc": "HEVC plays only where the computer's graphics chip decodes it",
    "theora": "Most browsers have given Theora up",
}

# Outcomes after which a player has nothing to try.
NOTHING_TO_PLAY = {"not_a_video", "empty_file", "missing_file"}


@dataclass(frozen=True, slots=True)
class Playback:
    """``preview`` is played where there is one, unless the original is asked for; ``obstacle`` is
    why a browser may not play the original, as the beginning of a sentence."""

    possible: bool
    obstacle: str
    preview: Rendition | None
    original_wanted: bool

    @property
    def shows_preview(self) -> bool:
        return bool(self.preview) and not self.original_wanted


def playback_of(attachment: Attachment, *, original_wanted: bool) -> Playback:
    return Playback(
        attachment.failure_code not in NOTHING_TO_PLAY,
        obstacle(attachment),
        attachment.stored_rendition(Rendition.Kind.PREVIEW),
        original_wanted,
    )


def obstacle(attachment: Attachment) -> str:
    """Empty when browsers play it, by what the row knows (the pixel format it does not)."""
    container, codec, audio = attachment.container, attachment.codec, attachment.audio_codec
    if not codec or browser_plays(container, codec, "", audio):
        return ""
    if codec in SOMETIMES:
        return SOMETIMES[codec]
    if not any(codec in pictures for pictures, _sounds in PLAYABLE.values()):
        return f"Browsers have no decoder for {codec_words(codec)}"
    if browser_plays(container, codec, "", ""):
        return f"Browsers have no decoder for its sound, {codec_words(audio)}"
    return f"Not every browser reads {codec_words(codec)} from {container_words(container)} files"
