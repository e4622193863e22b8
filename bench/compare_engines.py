"""``make compare-engines``: every disagreement of the two media engines, with its reason."""

import bench.ready  # noqa: F401  (before what needs Django)
from tests.engine_differences import CLIPS, KNOWN, ROTATED, corpus_files, differences, own_clip


def main() -> None:
    files = [*((name, own_clip(name)) for name in (*CLIPS, ROTATED)), *corpus_files()]
    found = [difference for file in files for difference in differences(*file)]
    print(f"{len(files)} files, {len(found)} disagreements\n")
    for difference in found:
        print(f"{difference.file}: {difference.what}")
        print(f"    libav {difference.libav!r}, ffmpeg {difference.ffmpeg!r}")
        print(f"    {KNOWN.get((difference.file, difference.what), 'NOT KNOWN')}")


if __name__ == "__main__":
    main()
