"""Whether the browsers of today play a file as it is: one pure function."""

# Container → codecs of picture and sound that current Chromium, Firefox and Safari play from it.
ISO_VIDEO, ISO_AUDIO = {"h264", "vp9", "av1"}, {"", "aac", "mp3", "opus"}
PLAYABLE: dict[str, tuple[set[str], set[str]]] = {
    "mp4": (ISO_VIDEO, ISO_AUDIO),
    "mov": (ISO_VIDEO, ISO_AUDIO),
    "webm": ({"vp8", "vp9", "av1"}, {"", "opus", "vorbis"}),
}
EIGHT_BIT = {"", "yuv420p", "yuvj420p"}
TEN_BIT = EIGHT_BIT | {"yuv420p10le"}
PIXEL_FORMATS = {
    "h264": EIGHT_BIT,
    "vp8": EIGHT_BIT | {"yuva420p"},
    "vp9": TEN_BIT,
    "av1": TEN_BIT,
}


def browser_plays(container: str, codec: str, pixel_format: str, audio_codec: str) -> bool:
    """Names are ffmpeg's; an unknown pixel format and missing sound are empty."""
    video_codecs, audio_codecs = PLAYABLE.get(container, (set(), set()))
    return (
        codec in video_codecs
        and audio_codec in audio_codecs
        and pixel_format in PIXEL_FORMATS[codec]
    )
