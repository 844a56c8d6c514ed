"""Do peepholes help a ConvLSTM? Compares none, channel and full on Moving MNIST and on weather radar.

.venv/bin/python scripts/peephole_study.py --mnist MNIST_FOLDER --radar RADAR_FOLDER
.venv/bin/python scripts/peephole_study.py --mnist MNIST_FOLDER --preset paper --mnist-steps 20000    # for a GPU

The script runs one `convlstm compare` for each data set, in --output/moving-mnist and --output/radar, whose reports
have all results, and prints their main tables and verdicts as Markdown. A second call resumes an interrupted
comparison, and adds seeds where --seeds is higher than before. --mnist is a folder with MNIST's IDX files, --radar any
folder of videos. With --print the script trains nothing and prints finished comparisons.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from moving_mnist.folder import draw_moving_mnist

SEQUENCES = 400
"""Sequences of Moving MNIST; 60 of them are for testing."""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mnist", type=Path, metavar="FOLDER", help="MNIST's IDX files, for Moving MNIST")
    parser.add_argument("--radar", type=Path, metavar="FOLDER", help="radar composites: videos or image folders")
    parser.add_argument("--output", type=Path, default=Path("runs/peephole-study"), help="folder of the comparisons")
    parser.add_argument("--seeds", type=int, default=8)
    parser.add_argument("--mnist-steps", type=int, default=300, help="optimiser steps of each training")
    parser.add_argument("--radar-steps", type=int, default=90, help="optimiser steps of each training")
    parser.add_argument(
        "--preset", default="small", help="preset of convlstm: small suits a CPU, paper is the published network"
    )
    parser.add_argument("--jobs", type=int, default=1, help="trainings at a time")
    parser.add_argument("--print", action="store_true", help="train nothing; print the tables of finished comparisons")
    given = parser.parse_args()
    if given.mnist is None and given.radar is None and not given.print:
        parser.error("give --mnist, --radar or both")

    studies: dict[str, tuple[Path, list[str]]] = {}
    if given.mnist is not None:
        drawn = given.output / "data" / "moving-mnist"
        studies["moving-mnist"] = (drawn, ["--size", "64", "--max-steps", str(given.mnist_steps)])
        if not given.print and not drawn.exists():
            draw_moving_mnist(given.mnist, drawn, SEQUENCES)
    if given.radar is not None:
        studies["radar"] = (given.radar, ["--size", "96", "--max-steps", str(given.radar_steps)])
    for name, (folder, options) in studies.items():
        if given.print:
            continue
        comparison = given.output / name
        command = [sys.executable, "-m", "convlstm_cli", "compare", "-o", str(comparison), "--seeds", str(given.seeds)]
        command += ["--jobs", str(given.jobs)]
        begun = (comparison / "comparison.json").exists()
        # The data and options of a comparison are fixed when it starts.
        new = [str(folder), *options, "--preset", given.preset]
        done = subprocess.run([*command, *(["--resume"] if begun else new)], stdout=sys.stderr, check=False)
        if done.returncode:
            return done.returncode
    for summary in sorted(given.output.glob("*/summary.json")):
        print("\n".join(table(summary.parent.name, json.loads(summary.read_text(encoding="utf-8")))), end="\n\n")
    return 0


def table(name: str, summary: dict[str, Any]) -> list[str]:
    """The main table of a comparison and its verdict, as lines of Markdown."""
    copying = summary["baselines"]["persistence"]["mean"]["mse"]
    lines = [
        f"**{name}**: {len(summary['seeds'])} seeds, test clips: {summary['clips']}, test videos: "
        f"{len(summary['videos'])}, {summary['height']}x{summary['width']}, {summary['horizon']} lead times.",
        "",
        "| peepholes | parameters | steps | test MSE | of copying | SSIM | against none | 95 % interval | p (Holm) "
        "| seeds better |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for arm in summary["arms"]:
        mean = arm["scores"]["mean"]
        cells = [
            arm["name"],
            f"{arm['parameters']:,}",
            str(arm["steps"]),
            f"{mean['mse']:.5f}",
            f"{mean['mse'] / copying:.3f}",
            f"{mean['ssim']:.3f}",
        ]
        difference = summary["differences"].get(arm["name"])
        if difference is None:
            cells += ["-"] * 4
        else:
            ends = difference["relative_interval"]
            cells += [
                f"{difference['relative']:+.2%}",
                "none" if ends is None else f"{ends[0]:+.2%} to {ends[1]:+.2%}",
                "< 0.001" if difference["p_holm"] < 0.001 else f"{difference['p_holm']:.3f}",
                f"{difference['seeds_better']} of {difference['seeds']}",
            ]
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, "", *summary["verdict"], *summary["warnings"]]


if __name__ == "__main__":
    sys.exit(main())
