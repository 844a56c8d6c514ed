"""The options of the Moving MNIST benchmark, which other benchmarks of the same trainings share."""

import argparse
from pathlib import Path
from typing import Any

from convlstm_cli.training.presets import PRESETS
from moving_mnist import settings


def options_of(description: str | None, *, add_help: bool = True) -> argparse.ArgumentParser:
    """The options; `settings.of_options` checks their values."""
    formatter = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(description=description, formatter_class=formatter, add_help=add_help)
    made.add_argument("--mnist", type=Path, default=Path("mnist"), metavar="FOLDER", help="the digits")
    made.add_argument("--output", "-o", type=Path, default=Path("runs/moving-mnist"), metavar="FOLDER")
    made.add_argument("--systems", default=",".join(settings.SYSTEMS), help="ours,plain or one of them")
    length = made.add_mutually_exclusive_group()
    length.add_argument("--minutes", type=float, default=20.0, help="training time of each system")
    length.add_argument("--epochs", type=int, help=f"epochs of {settings.EPOCH} sequences instead")
    length.add_argument("--steps", type=int, help="optimiser steps instead")
    made.add_argument("--max-time", metavar="10m", help="time limit of this call, which then saves and ends")
    made.add_argument(
        "--preset", choices=list(PRESETS), default="small", help="this and the next six: as in convlstm train"
    )
    made.add_argument("--hidden", metavar="64,64")
    made.add_argument("--kernel-size", type=int)
    made.add_argument("--patch-size", type=int)
    made.add_argument("--batch-size", type=int)
    made.add_argument("--seed", type=int)
    made.add_argument("--device", help="auto, cpu, cuda ...")
    several: dict[str, Any] = {"action": "append", "default": [], "metavar": "NAME=VALUE"}
    made.add_argument("--model-option", **several, help="any other field of ForecasterConfig, such as head=sigmoid")
    made.add_argument("--train-option", **several, help="any other field of TrainConfig, such as learning_rate=1e-3")
    made.add_argument(
        "--plain-head", choices=("sigmoid", "linear"), default="sigmoid", help="head of the plain network"
    )
    made.add_argument("--test-sequences", type=int, default=10_000)
    made.add_argument("--validation-sequences", type=int, default=500)
    made.add_argument("--curve", type=int, default=10, help="points of the learning curve; 0 for none")
    made.add_argument("--json", type=Path, metavar="FILE", help="write everything as JSON")
    return made
