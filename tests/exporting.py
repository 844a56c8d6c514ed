"""Exported networks that several test files share, each made once, since recording takes most of an export's time.

`spreading.py` has pytest-xdist run the files that use them in one process.
"""

import importlib.util
import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import pytest
import torch
from helpers import data_record

from convlstm_cli.export import Export, export
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.interop.manifest import CheckEntry, Manifest, describe
from convlstm_cli.interop.program import RunProgram
from convlstm_cli.interop.torch_program import TorchFiles, TorchProgram
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import Forecaster, Head, Peephole
from convlstm_cli.runs.run import Run
from convlstm_cli.video.values import ValueRange

TEMPLATES = Path(__file__).parents[1] / "convlstm_cli" / "interop" / "templates"

Kind = tuple[str, str, str]
"""Forecaster, head and peephole."""

ADVECTED: Kind = ("advected", "motions", "channel")
UNCONDITIONED: Kind = ("unconditioned", "sigmoid", "none")
AUTOREGRESSIVE: Kind = ("autoregressive", "residual", "full")

EVERY_KIND = [(f, h, p) for f in get_args(Forecaster) for h in get_args(Head) for p in get_args(Peephole)]
KINDS = EVERY_KIND if os.environ.get("CONVLSTM_EXPORT") == "all" else [ADVECTED, UNCONDITIONED, AUTOREGRESSIVE]
"""Every forecaster and peephole once, with the default head and two that estimate no motion; or each with each."""

HAS_ONNX = all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime")))
needs_onnx = pytest.mark.skipif(not HAS_ONNX, reason="takes onnx, onnxscript and onnxruntime")


@dataclass(frozen=True)
class Exported:
    """A network, and the folder that it is exported to."""

    run: Run
    network: EncoderForecaster
    result: Export
    torch_program: RunProgram
    """What the export loaded for its own check; to load it anew takes as long as half of recording it."""


_made: dict[Kind, Exported] = {}


def exported(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The export of a small network of a kind in all formats that can be written here; one of each kind is made.

    An advected network has one channel and reads a mask. An autoregressive one has two layers, larger patches and
    frames that are cropped.
    """
    if kind not in _made:
        place = tmp_path_factory.mktemp("-".join(kind))
        forecaster = kind[0]
        differs: dict[str, Any] = {}
        if forecaster == "advected":
            differs = {"channels": 1, "mask": True}
        elif forecaster == "autoregressive":
            differs = {"fit": "crop", "hidden": (3, 2), "patch_size": 4}
        run = make_run(place / "run", kind=kind, **differs)
        config = ExportConfig() if HAS_ONNX else ExportConfig(formats=("torch",))
        loaded: list[RunProgram] = []
        load = TorchProgram.load

        def load_and_keep(self: TorchProgram, folder: Path, files: TorchFiles) -> RunProgram:
            loaded.append(load(self, folder, files))
            return loaded[0]

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TorchProgram, "load", load_and_keep)
            result = export(run, place / "out", config)
        _made[kind] = Exported(run, run.load_model(torch.device("cpu")), result, loaded[0])
    return _made[kind]


def make_run(folder: Path, channels: int = 3, fit: str = "pad", kind: Kind = UNCONDITIONED, **model: Any) -> Run:
    """A run of a network with frames of 16x24 and weights that make its frames differ."""
    forecaster, head, peephole = kind
    settings: dict[str, Any] = {"hidden": (3,), "patch_size": 2, "input_frames": 3, "horizon": 2, **model}
    settings |= {"forecaster": forecaster, "head": head, "peephole": peephole}
    config = ForecasterConfig(16, 24, channels, **settings)
    data = data_record(16, 24, channels, fit)
    run = Run.create(folder, {"model": asdict(config), "training": {}, "data": data})
    torch.manual_seed(1)
    network = EncoderForecaster(config)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    run.save_weights(network.state_dict())
    return run


def described(config: ForecasterConfig, values: ValueRange | None, missing: float | None = None) -> Manifest:
    """The manifest of a network that was trained on such values."""
    check = CheckEntry(1e-4, {})
    texts: dict[str, str] = {}
    return describe(
        *(config, "pad", values, missing),
        run="mine",
        versions=texts,
        parameters=3,
        test_scores=None,
        programs=texts,
        check=check,
    )


def trials(network: EncoderForecaster) -> Iterator[tuple[torch.Tensor, int]]:
    """Batches and horizons that no program was recorded with."""
    config = network.config
    for batch, horizon in ((1, 5), (3, 1)):
        yield torch.rand(batch, config.input_frames, config.read_channels, config.height, config.width), horizon


def load_example(folder: Path) -> ModuleType:
    """forecast.py of an export."""
    spec = importlib.util.spec_from_file_location("forecast", folder / "forecast.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
