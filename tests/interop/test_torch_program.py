"""Programs of torch.export held to the network; `CONVLSTM_EXPORT=all` exports every kind, which takes minutes."""

import warnings
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from exporting import KINDS, TEMPLATES, Kind, exported, load_example, trials
from torch import Tensor

from convlstm_cli.interop.torch_program import TorchFiles, TorchProgram

pytestmark = pytest.mark.usefixtures("two_motions")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_torch_programs_forecast_what_the_network_does(kind: Kind, tmp_path_factory: pytest.TempPathFactory) -> None:
    export = exported(kind, tmp_path_factory)
    with torch.no_grad():
        for frames, horizon in trials(export.network):
            found = export.torch_program(frames, horizon)
            # The network's motion may come from the compiled kernel, and a search in random frames amplifies rounding.
            torch.testing.assert_close(found, export.network(frames, horizon), rtol=0, atol=2e-4)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_no_program_names_paths_of_the_machine_that_wrote_it(
    kind: Kind, tmp_path_factory: pytest.TempPathFactory
) -> None:
    export = exported(kind, tmp_path_factory)
    package = __file__.rpartition("/tests/")[0].encode()
    programs = [path for path in export.result.folder.iterdir() if path.suffix in (".pt2", ".onnx")]
    assert len(programs) >= 3
    for path in programs:
        assert package not in path.read_bytes()


@pytest.mark.parametrize("by", ["the check", "the example"])
def test_what_torch_warns_of_its_own_reading_is_not_shown(by: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch 2.11 does, at the first program of a process; a warning is an error in tests."""
    parts: dict[str, Callable[..., Any]] = {
        "start": lambda clip: (clip[:, -1],),
        "read": lambda frame, _last: (frame,),
        "step": lambda last: (last + 1.0, last),
    }

    def load(path: Path) -> SimpleNamespace:
        warnings.warn("The given buffer is not writable, and PyTorch does not support it", UserWarning, stacklevel=2)
        return SimpleNamespace(module=lambda: parts[path.stem])

    monkeypatch.setattr(torch.export, "load", load)
    files, clip = {name: f"{name}.pt2" for name in parts}, np.ones((1, 3, 1, 4, 4), np.float32)
    if by == "the check":
        run = TorchProgram().load(Path("folder"), TorchFiles(files, "2.11", ["last"]))
        found: Tensor = run(torch.from_numpy(clip), 2)
    else:
        found = torch.from_numpy(load_example(TEMPLATES).forecast_by_torch(clip, 2, files))
    torch.testing.assert_close(found, torch.full((1, 2, 1, 4, 4), 2.0))
