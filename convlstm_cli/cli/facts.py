"""What a bug report needs."""

import os
import platform
from typing import Any

import torch

from convlstm_cli.compute import device
from convlstm_cli.compute.versions import versions
from convlstm_cli.files import cache_folder, cache_size
from convlstm_cli.nn import gates, winograd
from convlstm_cli.runs.run import RUNS
from convlstm_cli.video.opencv import cv2


def gather() -> dict[str, Any]:
    """Versions, system, devices, video back-ends and cache."""
    compute = device.choose()
    backends = [cv2.videoio_registry.getBackendName(backend) for backend in cv2.videoio_registry.getBackends()]
    return {
        **versions(),
        "opencv": cv2.__version__,
        "system": platform.platform(),
        "processor": f"{os.cpu_count()} cores, {torch.get_num_threads()} used by torch",
        "accelerators": ", ".join(map(str, device.accelerators())) or "none",
        "computes_on": str(compute),
        "compiled_kernels": _kernels(compute.device),
        "video_backends": ", ".join(backends),
        "cache": f"{cache_folder()} ({cache_size() / 1e6:.0f} MB; safe to delete)",
        "runs": str(RUNS.resolve()),
    }


def _kernels(device: torch.device) -> str:
    """What the fast sequence (`nn/recurrence.py`) computes with."""
    found = {"gates": gates.why_no_kernel(torch.float32, device)}
    if device.type == "cpu":
        found["convolutions"] = winograd.why_not()
    return ", ".join(f"{name}: {'yes' if why is None else f'no ({why})'}" for name, why in found.items())
