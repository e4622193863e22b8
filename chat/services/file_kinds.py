"""What kind of file this is, by its first bytes: enough to show pictures and play sound.

Decodes nothing.  What is not on the list is an opaque file.
"""

from pathlib import Path

from chat.models import Attachment

OPAQUE = (Attachment.Kind.FILE, "application/octet-stream")
LONGEST = 12

# (offset, bytes) that must all match → kind and content type.
SIGNATURES: tuple[tuple[tuple[tuple[int, bytes], ...], tuple[str, str]], ...] = (
    (((0, b"\xff\xd8\xff"),), (Attachment.Kind.IMAGE, "image/jpeg")),
    (((0, b"\x89PNG\r\n\x1a\n"),), (Attachment.Kind.IMAGE, "image/png")),
    (((0, b"GIF87a"),), (Attachment.Kind.IMAGE, "image/gif")),
    (((0, b"GIF89a"),), (Attachment.Kind.IMAGE, "image/gif")),
    (((0, b"RIFF"), (8, b"WEBP")), (Attachment.Kind.IMAGE, "image/webp")),
    (((0, b"RIFF"), (8, b"WAVE")), (Attachment.Kind.AUDIO, "audio/wav")),
    (((0, b"ID3"),), (Attachment.Kind.AUDIO, "audio/mpeg")),
    (((0, b"\xff\xfb"),), (Attachment.Kind.AUDIO, "audio/mpeg")),
    (((0, b"fLaC"),), (Attachment.Kind.AUDIO, "audio/flac")),
    # Containers that may hold video: the video road has found none in them.
    (((0, b"OggS"),), (Attachment.Kind.AUDIO, "audio/ogg")),
    (((4, b"ftypM4A"),), (Attachment.Kind.AUDIO, "audio/mp4")),
)


def sniff(path: Path) -> tuple[str, str]:
    """(kind, content type) of a file that is not a video."""
    with path.open("rb") as file:
        return kind_of(file.read(LONGEST))


def kind_of(start: bytes) -> tuple[str, str]:
    """The same by the first ``LONGEST`` bytes."""
    for parts, found in SIGNATURES:
        if all(start[offset : offset + len(magic)] == magic for offset, magic in parts):
            return found
    return OPAQUE
