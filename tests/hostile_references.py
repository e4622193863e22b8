"""Files that point at other files or at the network: playlists and scripts of every kind,
subtitles and containers that name a neighbour.  Made in pure Python."""

import socket
import struct
import threading
from pathlib import Path

from tests.clips import clip


def hls(*lines: str) -> str:
    return "\n".join(["#EXTM3U", "#EXT-X-VERSION:7", "#EXT-X-TARGETDURATION:2", *lines]) + "\n"


DASH = (
    '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"'
    ' profiles="urn:mpeg:dash:profile:isoff-on-demand:2011" mediaPresentationDuration="PT1S">'
    '<Period><AdaptationSet mimeType="video/mp4"><Representation id="1" bandwidth="1" width="64"'
    ' height="64"><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>'
)
IMF = (
    '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">'
    "<Id>urn:uuid:00000000-0000-0000-0000-000000000001</Id></CompositionPlaylist>"
)
EXTENSIONS = {
    "hls": ".m3u8", "dash": ".mpd", "ffconcat": ".ffconcat", "imf": ".xml", "sdp": ".sdp",
    "asx": ".asx",
}  # fmt: skip
# Names that ffmpeg takes for something else: an option, a protocol, a pattern.
NAMES = (
    "-report", "-version", "--help", "-i.mp4", "pic%d.png", "%03d.mp4", "img*.mp4",
    "http:127.0.0.1:{port}", "tcp:127.0.0.1:{port}", "ftp:127.0.0.1", "rtsp:127.0.0.1:{port}",
    "sftp:127.0.0.1", "gopher:127.0.0.1", "udp:127.0.0.1:{port}", "unix:socket",
    "concat:neighbour.ts|neighbour.ts", "subfile,,start,0,end,9,,:neighbour.ts",
    "cache:neighbour.ts", "crypto:neighbour.ts", "data:video", "pipe:0", "fd:0",
    "lavfi:testsrc", "file:neighbour.ts", "a\nb.mp4", "a'b\"c.mp4", "$(id);id|id&.mp4",
    "\u202e4pm.exe", "x" * 200 + ".mp4",
)  # fmt: skip
VOBSUB = (
    "# VobSub index file, v7 (do not modify this line!)\n"
    "id: en, index: 0\ntimestamp: 00:00:01:000, filepos: 000000000\n"
)


def references(neighbour: Path, port: int) -> dict[str, bytes]:
    """File name → content of files that point at ``neighbour`` or at the port."""
    end, remote = "#EXT-X-ENDLIST", f"http://127.0.0.1:{port}/x.ts"
    name = neighbour.name
    texts = {
        "hls-absolute": hls("#EXTINF:1,", str(neighbour), end),
        "hls-relative": hls("#EXTINF:1,", name, end),
        "hls-map": hls(f'#EXT-X-MAP:URI="{name}"', "#EXTINF:1,", name, end),
        "hls-key": hls(f'#EXT-X-KEY:METHOD=AES-128,URI="{name}"', "#EXTINF:1,", name, end),
        "hls-http": hls("#EXTINF:1,", remote, end),
        "hls-master": hls("#EXT-X-STREAM-INF:BANDWIDTH=1", remote),
        "hls-self": hls("#EXTINF:1,", "hls-self.m3u8", end),
        "hls-concat": hls("#EXTINF:1,", f"concat:{neighbour}|{neighbour}", end),
        "dash": DASH.format(name),
        "dash-http": DASH.format(remote),
        "ffconcat": f"ffconcat version 1.0\nfile {name}\n",
        "ffconcat-absolute": f"ffconcat version 1.0\nfile '{neighbour}'\n",
        "imf": IMF,
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
        f"m=video {port} RTP/AVP 96\na=rtpmap:96 H264/90000\n",
        "asx": f"[Reference]\r\nRef1=http://127.0.0.1:{port}/ref?MSWMExt=.asf\r\n",
    }
    files = {f"{key}{extension(key)}": text.encode() for key, text in texts.items()}
    files["vobsub.idx"] = VOBSUB.encode()
    files["gab2.avi"] = gab2_avi(texts["hls-absolute"])
    files["dref.mov"] = external_reference(clip("plain.mov", audio=False), neighbour)
    return files


def extension(key: str) -> str:
    """By which newer versions of libav decide whether to follow a playlist."""
    return next(end for start, end in EXTENSIONS.items() if key.startswith(start))


def siblings(content: bytes) -> dict[str, bytes]:
    """What demuxers look for beside the files above, by name."""
    return {"vobsub.sub": content, "ASSETMAP.xml": b"<AssetMap/>"}


def gab2_avi(playlist: str) -> bytes:
    """An AVI whose subtitle chunk holds a playlist (the form of CVE-2017-9993)."""

    def chunk(kind: bytes, *parts: bytes) -> bytes:
        body = b"".join(parts)
        return kind + struct.pack("<I", len(body)) + body + b"\0" * (len(body) % 2)

    text = playlist.encode()
    header = chunk(
        b"avih", struct.pack("<14I", 40000, 0, 0, 16, 1, 0, 1, 65536, 64, 64, 0, 0, 0, 0)
    )
    stream = chunk(b"strh", b"txts", bytes(52))
    streams = chunk(b"LIST", b"strl", stream, chunk(b"strf", b""))
    subtitle = b"GAB2\0" + struct.pack("<HI", 2, 4) + "a\0".encode("utf-16le")
    subtitle += struct.pack("<HI", 4, len(text)) + text
    movie = chunk(b"LIST", b"movi", chunk(b"00tx", subtitle))
    return chunk(b"RIFF", b"AVI ", chunk(b"LIST", b"hdrl", header, streams), movie)


def external_reference(movie: Path, target: Path) -> bytes:
    """A MOV that says its samples lie in another file (a ``url `` data reference)."""
    content = movie.read_bytes()
    at = content.index(b"url ", content.index(b"dref"))
    url = b"file://" + bytes(target) + b"\0"
    entry = struct.pack(">I", 12 + len(url)) + b"url " + bytes(4) + url
    grown = bytearray(content[: at - 4] + entry + content[at + 8 :])
    for kind in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        size_at = grown.index(kind) - 4
        size = struct.unpack_from(">I", grown, size_at)[0]
        struct.pack_into(">I", grown, size_at, size + len(entry) - 12)
    return bytes(grown)


class Listener(threading.Thread):
    """Counts connections to a loopback port."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port = self.socket.getsockname()[1]
        self.connections = 0
        self.start()

    def run(self) -> None:
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            self.connections += 1
            connection.close()

    def __enter__(self) -> "Listener":
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        self.join(5)
