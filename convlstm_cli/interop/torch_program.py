"""A forecaster as programs of torch.export; the loops over input frames and lead times are their caller's."""

import io
import warnings
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch

from convlstm_cli.interop.program import Program, RunProgram
from convlstm_cli.nn.exportable import record_parts, run_parts
from convlstm_cli.nn.forecaster import EncoderForecaster


@dataclass(frozen=True)
class TorchFiles:
    """What the manifest says of the programs."""

    files: dict[str, str]
    """File of each program: `start`, `read` and `step`."""
    version: str
    """PyTorch's, which wrote them."""
    state: list[str]
    """Names of the tensors that one program hands to the next."""


class TorchProgram(Program[TorchFiles]):
    """Programs for `torch.export.load`."""

    writing = "recording the network for torch.export, which takes a minute or two"

    def write(self, network: EncoderForecaster, folder: Path) -> TorchFiles:
        """Writes start.pt2, read.pt2 and step.pt2."""
        files = {}
        for name, program in record_parts(network).items():
            files[name] = f"{name}.pt2"
            content = io.BytesIO()  # torch's own writing of files ends the process where the disk is full
            torch.export.save(program, content)
            # No view of it, which crashes the garbage collector of CPython 3.12.1 where this raises; it copies nothing.
            (folder / files[name]).write_bytes(content.getvalue())
        return TorchFiles(files, torch.__version__, list(network.state_names))

    def load(self, folder: Path, files: TorchFiles) -> RunProgram:
        """Loads the three programs."""
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given buffer is not writable")  # of PyTorch 2.11's own reading
            parts = {name: torch.export.load(folder / file).module() for name, file in files.files.items()}
        return partial(run_parts, parts)
