"""A forecaster as one ONNX file: frames and a horizon in, forecast out, any batch and any horizon.

torch.onnx translates the programs of `nn/exportable.py`, and `onnx_graph` puts ONNX's own loops around them. Writing
takes onnx and onnxscript (`pip install convlstm[onnx]`), running takes onnxruntime.
"""

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.errors import DependencyError
from convlstm_cli.interop.program import FRAMES, HORIZON, Program, RunProgram
from convlstm_cli.nn.exportable import Piece, record_together, without_stack_traces
from convlstm_cli.nn.forecaster import EncoderForecaster

if TYPE_CHECKING:
    import onnx

FILE = "forecaster.onnx"
OPSET = 18
"""The version that torch.onnx writes without a conversion; GridSample came with 16."""
EXTERNAL = 1 << 30
"""Bytes of weights from which on they go into a file beside FILE: a file of protobuf can hold 2 GiB."""


@dataclass(frozen=True)
class OnnxFiles:
    """What the manifest says of the program."""

    file: str
    weights: str | None
    """File of large weights, beside the first."""
    opset: int


class OnnxProgram(Program[OnnxFiles]):
    """A program for ONNX Runtime and whatever else reads ONNX."""

    writing = "translating the network to ONNX, which takes a while"
    not_run = f"onnxruntime is not installed, so {FILE} was not run; pip install onnxruntime"

    def check_installed(self) -> None:
        """Raises DependencyError where onnx or onnxscript is missing."""
        for package in ("onnx", "onnxscript"):
            if importlib.util.find_spec(package) is None:
                raise DependencyError(
                    f"--format onnx takes {package}; install it with pip install 'convlstm[onnx]', or give "
                    "--format torch."
                )

    def write(self, network: EncoderForecaster, folder: Path) -> OnnxFiles:
        """Writes forecaster.onnx, with forecaster.onnx.data where the weights are large."""
        self.check_installed()
        # Not at the top, since onnx is optional.
        from convlstm_cli.interop.onnx_graph import assemble

        translated, counts = _translate(network)
        large = 4 * sum(parameter.numel() for parameter in network.parameters()) >= EXTERNAL
        return save(assemble(translated.graph, counts, network.config, OPSET), folder, external=large)

    def load(self, folder: Path, files: OnnxFiles) -> RunProgram | None:
        """Opens the file with ONNX Runtime on the CPU; None where that is not installed."""
        if importlib.util.find_spec("onnxruntime") is None:
            return None
        import onnxruntime

        session = onnxruntime.InferenceSession(folder / files.file, providers=["CPUExecutionProvider"])

        def run(frames: Tensor, horizon: int) -> Tensor:
            [forecast] = session.run(None, {FRAMES: frames.numpy(), HORIZON: np.array(horizon, np.int64)})
            return torch.from_numpy(forecast)

        return run


def save(model: "onnx.ModelProto", folder: Path, *, external: bool) -> OnnxFiles:
    """Writes a model, with its weights in a file of their own if `external`, and checks that it is valid ONNX."""
    import onnx

    weights = f"{FILE}.data"
    onnx.save_model(model, folder / FILE, save_as_external_data=external, location=weights)
    onnx.checker.check_model(folder / FILE)
    return OnnxFiles(FILE, weights if external else None, OPSET)


def _translate(network: EncoderForecaster) -> tuple["onnx.ModelProto", dict[str, Piece]]:
    """The programs of a network side by side in one graph, and how many inputs and outputs each has."""
    from onnxscript import optimizer

    recorded, counts = record_together(network)
    with _quiet(), without_stack_traces():
        program = torch.onnx.export(recorded, dynamo=True, opset_version=OPSET, optimize=False, verbose=False)
        assert program is not None
        # All of torch's optimisations take minutes, and a runtime optimises the model again.
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
        return program.model_proto, counts


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences the messages of torch.onnx about optional libraries and about what it has deprecated."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
