"""What is planned and recorded before training: settings, steps, timing, and the machine."""

import json
from pathlib import Path
from typing import Any

import torch

from bench import machine
from convlstm_cli.compute import device
from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import RunError
from convlstm_cli.files import write_text
from convlstm_cli.nn.gates import why_no_kernel
from moving_mnist import settings, training
from moving_mnist.settings import Settings
from moving_mnist.training import Clips, Say, ShouldStop


def plan(
    folder: Path, chosen: Settings, digest: int, source: Clips, should_stop: ShouldStop, say: Say
) -> dict[str, Any]:
    """The settings, and the number of steps of each system with their timing, from an earlier call where there is one.

    Raises UsageError if the folder holds a benchmark with other settings.
    """
    path = folder / "plan.json"
    flat = chosen.flat(digest)
    if path.exists():
        try:
            earlier: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            before = earlier["settings"]
        except (OSError, ValueError, KeyError) as error:
            raise RunError(f"{path}: cannot be read ({error}); choose another --output.") from error
        settings.check_unchanged(flat, before, str(folder))
        return earlier
    made = {"settings": flat, **training.plan(source, chosen, should_stop, say)}
    write_text(path, json.dumps(made, indent=2) + "\n")
    return made


def describe_machine(chosen: Settings) -> dict[str, Any]:
    """The machine, the device and the versions."""
    compute = device.choose(chosen.train.device, chosen.train.precision)
    where = str(compute)
    if compute.device.type == "cuda":
        where += f" ({torch.cuda.get_device_name(compute.device)})"
    return {
        **machine.describe(),
        "device": where,
        "threads": torch.get_num_threads(),
        **versions(),
        "kernel": why_no_kernel(compute.dtype, compute.device) or "compiled",
    }
