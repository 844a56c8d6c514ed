"""What a bug report needs."""

import os
import platform
from dataclasses import asdict, dataclass
from typing import Any

import torch

from convlstm_cli.compute import device, graphs
from convlstm_cli.compute.versions import versions
from convlstm_cli.nn import gates, motion, winograd
from convlstm_cli.paths import cache_folder, cache_size
from convlstm_cli.runs.folders import RUNS
from convlstm_cli.runs.run import Run
from convlstm_cli.settings import write_duration
from convlstm_cli.video.colour import colour_name
from convlstm_cli.video.opencv import cv2
from convlstm_cli.weights.pretrained import NAMES, card, digest_of


@dataclass(frozen=True)
class Facts:
    """Versions, system, devices, video back-ends and cache."""

    versions: dict[str, str]
    """Versions of this tool, of Python, and of the packages that a result can depend on."""
    opencv: str
    system: str
    processor: str
    accelerators: str
    computes_on: str
    """Device and precision that `auto` stands for."""
    compiled_kernels: str
    """Which parts of the fast sequence (`nn/recurrence.py`) are compiled, and why the others are not."""
    cuda_graphs: str
    """Whether steps and forecasts are captured (`compute/graphs.py`), and if not, why."""
    video_backends: str
    """OpenCV's, best first."""
    cache: str
    runs: str
    """Folder of new runs."""
    shipped_weights: str
    """Those that `pretrained` stands for: network, and which made-up motion they were trained on, for how long."""

    def to_dict(self) -> dict[str, Any]:
        """The JSON of `convlstm info --json`: the versions, then the other facts."""
        facts = asdict(self)
        return {**facts.pop("versions"), **facts}


def gather() -> Facts:
    """The facts about this machine and installation."""
    compute = device.choose()
    backends = [cv2.videoio_registry.getBackendName(backend) for backend in cv2.videoio_registry.getBackends()]
    return Facts(
        versions=versions(),
        opencv=cv2.__version__,
        system=platform.platform(),
        processor=f"{os.cpu_count()} cores, {torch.get_num_threads()} used by torch",
        accelerators=", ".join(map(str, device.accelerators())) or "none",
        computes_on=f"{compute}, optimiser steps in {device.choose(learning=True).precision}",
        compiled_kernels=_kernels(compute.device),
        cuda_graphs=_yes_or_no(graphs.why_not(compute.device)),
        video_backends=", ".join(backends),
        cache=f"{cache_folder()} ({cache_size() / 1e6:.0f} MB; safe to delete)",
        runs=str(RUNS.resolve()),
        shipped_weights="; ".join(map(_weights, NAMES)),
    )


@dataclass(frozen=True)
class ReportedRun:
    """What a bug report about a run needs of it."""

    run: str
    network: str
    values: str
    """The range of values that becomes [0, 1] for the network."""
    step: str
    """Time from one frame to the next."""
    trained_with: str
    """Versions of this tool and of torch."""

    def to_dict(self) -> dict[str, str]:
        """As `convlstm info RUN` prints it."""
        return vars(self)


def of_run(run: Run) -> ReportedRun:
    """The facts about a run. Raises RunError where its config.json is damaged."""
    model, versions = run.model_config, run.config.get("versions", {})
    return ReportedRun(
        run=str(run.folder),
        network=f"{model.input_frames} frames of {model.height}x{model.width}, {colour_name(model.channels)}, to "
        f"{model.horizon}; layers of {', '.join(map(str, model.hidden))}; peephole {model.peephole}",
        values="those of the input" if run.values is None else run.values.describe(),
        step="unknown" if run.step is None else write_duration(run.step),
        trained_with=", ".join(f"{name} {versions[name]}" for name in ("convlstm", "torch") if name in versions),
    )


def _weights(name: str) -> str:
    return f"{name} {digest_of(name)[:8]} (trained on clips of generator {card(name)['generator']})"


def _kernels(device: torch.device) -> str:
    found = {"gates": gates.why_no_kernel(torch.float32, device)}
    if device.type == "cpu":
        found["convolutions"] = winograd.why_not()
    found["motion"] = motion.why_no_kernel(device)
    return ", ".join(f"{name}: {_yes_or_no(why)}" for name, why in found.items())


def _yes_or_no(why_not: str | None) -> str:
    return "yes" if why_not is None else f"no ({why_not})"
