"""Whether a browser is likely to play a file as it is, judged by codec and container."""

from chat.models import Attachment
from moderation.words import codec_words, container_words

# Codec → containers that current Chromium, Firefox and Safari all read it from, or nearly.
PLAYABLE = {
    "h264": {"mp4", "mov", "3gp"},
    "vp8": {"webm"},
    "vp9": {"webm", "mp4"},
    "av1": {"mp4", "webm"},
}
SOMETIMES = {
    "hevc": "HEVC plays only where the computer's graphics chip decodes it",
    "theora": "Most browsers have given Theora up",
}

# Outcomes after which a player has nothing to try.
NOTHING_TO_PLAY = {"not_a_video", "empty_file", "missing_file"}


def has_nothing_to_play(attachment: Attachment) -> bool:
    return attachment.failure_code in NOTHING_TO_PLAY


def unlikely_because(attachment: Attachment) -> str:
    """Why the browser may not play it, as the beginning of a sentence; empty when it will."""
    if not attachment.codec or attachment.container in PLAYABLE.get(attachment.codec, ()):
        return ""
    if attachment.codec in SOMETIMES:
        return SOMETIMES[attachment.codec]
    codec = codec_words(attachment.codec)
    if attachment.codec in PLAYABLE:
        return (
            f"Not every browser reads {codec} from {container_words(attachment.container)} files"
        )
    return f"Browsers have no decoder for {codec}"
