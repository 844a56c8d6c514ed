"""How long PyAV takes to decode a video beside OpenCV, and how long the probe takes that chooses between them.

.venv/bin/python scripts/benchmark_decoding.py
.venv/bin/python scripts/benchmark_decoding.py MY_VIDEO.mp4 --rounds 10 --json

Without videos, H.264 in MP4 of two sizes is made. Both decoders give every frame as RGB, in turn, so that whatever else
the machine does slows both; the first pair fills the disk cache and does not count. The targets: at most 1.3 times
OpenCV's time, and 2 ms for the probe.
"""

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.video.stream import VideoStream

from bench.machine import describe
from bench.paired import in_turn, medians, timed
from bench.terminal import aligned, say, target
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.readers.container import probe
from convlstm_cli.video.readers.opencv_frames import opencv_frames
from convlstm_cli.video.readers.pyav_frames import pyav_frames

RATIO_TARGET, PROBE_TARGET = 1.3, 2.0
SIZES = ((480, 640), (720, 1280))
"""Height and width of the videos that are made."""


def main() -> int:
    options = parse()
    with tempfile.TemporaryDirectory(prefix="convlstm-") as folder:
        paths = options.videos or [make_video(Path(folder), *size, options.frames) for size in SIZES]
        rows = [measure(path, options.rounds) for path in paths]
    results = {"machine": describe(), "opencv": cv2.__version__, "pyav": av.__version__, "videos": rows}
    if options.json:
        print(json.dumps(results, indent=2, allow_nan=False))
    else:
        show(rows)
    return 0


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("videos", nargs="*", type=Path, help="video files; made ones if none is given")
    parser.add_argument("--rounds", type=int, default=5, help="pairs of measurements")
    parser.add_argument("--frames", type=int, default=120, help="frames of each video that is made")
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser.parse_args()


def make_video(folder: Path, height: int, width: int, count: int) -> Path:
    """H.264 of moving waves with some noise, in MP4."""
    path = folder / f"{height}x{width}.mp4"
    rows, columns = np.mgrid[:height, :width]
    noise = np.random.default_rng(0).normal(0, 5, (height, width, 3))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        assert isinstance(stream, VideoStream)
        stream.height, stream.width, stream.pix_fmt = height, width, "yuv420p"
        for t in range(count):
            waves = (np.sin((columns + 3 * t) / 19), np.cos((rows + 2 * t) / 17), np.sin((rows + columns + t) / 23))
            pixels = 128 + 80 * np.stack(waves, -1) + np.roll(noise, t, axis=0)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.clip(pixels, 0, 255).astype(np.uint8), "rgb24")))
        container.mux(stream.encode())
    return path


def measure(path: Path, rounds: int) -> dict[str, Any]:
    """Medians over `rounds` pairs: seconds of each decoder, their ratio, and milliseconds of the probe."""
    say(f"measuring {path.name} ...")
    facts = probe(path)
    found = medians(
        in_turn(
            lambda: timed(lambda: exhaust(pyav_frames(path, facts, []))),
            lambda: timed(lambda: exhaust(opencv_frames(path, facts, []))),
            rounds,
        )
    )
    probes = [timed(lambda: probe(path)) for _ in range(max(20, rounds))]
    return {
        "video": path.name,
        "frames": facts.declared_frames,
        "opencv_s": found.other,
        "pyav_s": found.own,
        "ratio": found.ratio,
        "probe_ms": 1000 * statistics.median(probes),
    }


def exhaust(frames: Iterable[object]) -> None:
    for _ in frames:
        pass


def show(rows: Sequence[dict[str, Any]]) -> None:
    head = ["video", "frames", "OpenCV (s)", "PyAV (s)", "PyAV / OpenCV", "probe (ms)"]
    cells = [
        [
            row["video"],
            str(row["frames"]),
            *(f"{row[name]:.3f}" for name in ("opencv_s", "pyav_s")),
            f"{row['ratio']:.2f}",
            f"{row['probe_ms']:.2f}",
        ]
        for row in rows
    ]
    print(aligned([head, *cells]))
    ratio, milliseconds = (max(row[name] for row in rows) for name in ("ratio", "probe_ms"))
    print(f"largest ratio {ratio:.2f} ({target(ratio <= RATIO_TARGET, f'at most {RATIO_TARGET}')})")
    print(
        f"slowest probe {milliseconds:.2f} ms ({target(milliseconds <= PROBE_TARGET, f'at most {PROBE_TARGET:g} ms')})"
    )


if __name__ == "__main__":
    sys.exit(main())
