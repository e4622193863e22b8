"""``make corpus``: what both engines find in every file of a corpus, against its manifest."""

import argparse
import sys
from pathlib import Path

import bench.ready  # noqa: F401  (before what needs Django)
from chat.errors import VideoError
from chat.services.examination import ExaminedVideo
from tests.corpus import ENGINES, complaints, entries, examined

LINE = "{:38} {:9} {:7} {}"
FOUND = "{:21} {:>11} {:>9} {}"
HEAD = LINE.format(
    "file", "manifest", "engine", FOUND.format(*["verdict", "size", "duration", "poster"])
)


def row(found: ExaminedVideo | VideoError) -> str:
    """Verdict, displayed size, duration in seconds, size of the poster."""
    if isinstance(found, VideoError):
        return FOUND.format(found.code, "", "", "")
    metadata, poster = found.metadata, found.poster
    size = f"{metadata.width}×{metadata.height}"
    duration = "null" if metadata.duration is None else f"{metadata.duration:.2f}"
    blank = " (blank)" if poster.blank else ""
    return FOUND.format("ready", size, duration, f"{poster.width}×{poster.height}{blank}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("corpus", type=Path, help="folder with a MANIFEST.json")
    corpus = parser.parse_args().corpus
    found = entries(corpus)
    if not found:
        sys.exit(f"{corpus} has no MANIFEST.json")
    print(HEAD)
    wrong, ready = [], dict.fromkeys(ENGINES, 0)
    for entry in found:
        name, expected = Path(entry["file"]).name, entry["expect"]
        for engine in ENGINES:
            answer = examined(corpus / entry["file"], engine)
            ready[engine] += not isinstance(answer, VideoError)
            told = complaints(expected, answer)
            wrong += told
            shown = (name, expected["verdict"]) if engine == ENGINES[0] else ("", "")
            line = LINE.format(*shown, engine, row(answer))
            print(f"{line}   WRONG: {'; '.join(told)}" if told else line.rstrip())
    verdicts = [entry["expect"]["verdict"] for entry in found]
    counts = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in sorted(set(verdicts)))
    print(f"\n{len(found)} files ({counts}); ready: ", end="")
    print(", ".join(f"{count} with {engine}" for engine, count in ready.items()), end="; ")
    print(f"{len(wrong)} contradictions of the manifest")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
