"""How long the forecast of one small video takes beside a process that imports torch and OpenCV and ends.

Both run as whole processes, in pairs, so that whatever else the machine does slows both. Ours is measured until its
first frame is on disk, and until it has written all and ended.

.venv/bin/python scripts/benchmark_start.py --runs 20
.venv/bin/python scripts/benchmark_start.py -m RUN
"""

import argparse
import subprocess
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from bench.paired import in_turn, medians, seconds

ROOT = Path(__file__).parent.parent
VIDEO = ROOT / "sample_data" / "rain" / "rain_01.mkv"
IMPORTS = [sys.executable, "-c", "import torch, cv2"]
FIRST = "frame_000001.png"
LOOKS = 0.005
"""Seconds between two looks for the first frame."""


def predict(model: str, place: Path) -> list[str]:
    """A command that forecasts into a folder that is not there yet."""
    folder = tempfile.mkdtemp(dir=place)
    return [sys.executable, "-m", "convlstm_cli", "predict", str(VIDEO), "-m", model, "-o", f"{folder}/forecasts"]


def first_frame(model: str, place: Path) -> float:
    """Seconds until the first frame of a forecast is on disk. Raises CalledProcessError where none is written."""
    command = predict(model, place)
    output, began = Path(command[-1]), time.perf_counter()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        while not is_within(output):
            if process.poll() is not None:
                raise subprocess.CalledProcessError(process.returncode, command)
            time.sleep(LOOKS)
        return time.perf_counter() - began


def is_within(output: Path) -> bool:
    """Whether the first frame is in the folder, or in one that is being filled there."""
    try:
        return any(output.rglob(FIRST))
    except FileNotFoundError:  # a folder that has been renamed since it was listed
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-m", "--model", default="pretrained")
    parser.add_argument("--runs", type=int, default=10)
    options = parser.parse_args()
    print(f"medians of {options.runs} pairs: seconds of ours, of importing torch and OpenCV, and the ratio")
    imports = partial(seconds, IMPORTS)
    with tempfile.TemporaryDirectory() as name:
        place = Path(name)
        whole = in_turn(lambda: seconds(predict(options.model, place)), imports, options.runs)
        first = in_turn(lambda: first_frame(options.model, place), imports, options.runs)
    rows = {
        "first frame": medians((own, other.wall) for own, other in first),
        "whole process": medians((own.wall, other.wall) for own, other in whole),
        "its processor time": medians((own.processor, other.processor) for own, other in whole),
    }
    for what, (own, other, ratio) in rows.items():
        print(f"{what:18s} {own:6.2f} {other:6.2f} {ratio:5.2f}")


if __name__ == "__main__":
    main()
