"""Exports, from runs to folders; the programs are tested in tests/interop."""

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from exporting import AUTOREGRESSIVE, UNCONDITIONED, exported, make_run, needs_onnx
from helpers import moving_square
from typer.testing import CliRunner

from convlstm_cli import export as exporting
from convlstm_cli.cli.app import app
from convlstm_cli.errors import DependencyError, OutputError, RunError
from convlstm_cli.interop import torch_program
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.interop.onnx_program import OnnxFiles
from convlstm_cli.interop.program import Program, RunProgram
from convlstm_cli.interop.programs import PROGRAMS, ProgramKind
from convlstm_cli.nn import EncoderForecaster
from convlstm_cli.nn.exportable import run_parts
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.video.geometry import FrameGeometry

TORCH = ExportConfig(formats=("torch",))


@needs_onnx
def test_the_folder_has_all_that_one_needs(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """An export with every format; then the example, in a process that knows nothing but the folder."""
    export = exported(AUTOREGRESSIVE, tmp_path_factory)
    run, folder = export.run, export.result.folder
    assert set(export.result.files) == {path.name for path in folder.iterdir()} == {
        *("manifest.json", "README.md", "forecast.py", "forecaster.onnx", "start.pt2", "read.pt2", "step.pt2")
    }  # fmt: skip
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["frames"]["shape"] == ["batch", 3, 3, 16, 24]
    assert (manifest["frames"]["colour"], manifest["frames"]["fit"]) == ("RGB", "crop")
    assert manifest["parameters"] == sum(p.numel() for p in export.network.parameters())
    assert max(manifest["check"]["largest_difference"].values()) < exporting.TOLERANCE
    for path in ("manifest.json", "README.md", "forecast.py"):
        text = (folder / path).read_text(encoding="utf-8")
        assert str(run.folder.parent) not in text
        assert "convlstm_cli" not in text

    frames = moving_square(5, seed=3, channels=3)
    np.save(tmp_path / "clip.npy", frames)
    subprocess.run(
        [sys.executable, "-I", folder / "forecast.py", "clip.npy", "out.npy", "6"], cwd=tmp_path, check=True, timeout=60
    )
    geometry = FrameGeometry(16, 24, "crop")
    fitted = np.stack([geometry.fit_frame(frame) for frame in frames[-3:]])
    with torch.no_grad():
        clip = torch.from_numpy(fitted).permute(0, 3, 1, 2)[None] / 255
        expected = export.network(clip, 6)[0].permute(0, 2, 3, 1)
    found = np.load(tmp_path / "out.npy")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)  # fitting may differ by a step of 1/255


# Without recording anew


@pytest.fixture
def run(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A run of the network that `exported(UNCONDITIONED)` recorded."""
    folder = exported(UNCONDITIONED, tmp_path_factory).result.folder
    programs = {name: torch.export.load(folder / f"{name}.pt2") for name in ("start", "read", "step")}
    monkeypatch.setattr(torch_program, "record_parts", lambda _network: programs)
    return make_run(tmp_path / "run")


def test_the_command_writes_into_the_run_and_names_the_next_step(run: Run) -> None:
    done = CliRunner().invoke(app, ["export", str(run.folder), "--format", "torch", "--json"])
    assert done.exit_code == 0, done.stderr
    folder = run.folder / "export-1"
    result = json.loads(done.stdout)
    assert result["folder"] == str(folder)
    assert set(result["files"]) == {path.name for path in folder.iterdir()}
    assert result["differences"]["torch"] < 1e-5
    assert done.stderr.rstrip().endswith(f"next: python {folder / 'forecast.py'} FRAMES.npy FORECAST.npy")


def test_an_export_that_forecasts_something_else_is_not_written(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch_program, "run_parts", lambda *arguments: run_parts(*arguments) + 0.01)
    with pytest.raises(OutputError, match=r"differs from the network by 0\.01"):
        exporting.export(run, tmp_path / "out", TORCH)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_network_whose_forecasts_are_not_finite_is_not_exported(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    network = run.load_model(torch.device("cpu"))
    monkeypatch.setattr(Run, "load_model", lambda *_: network)
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    with pytest.raises(OutputError, match="not finite"):
        exporting.export(run, tmp_path / "out", TORCH)
    assert not (tmp_path / "out").exists()


class Notes(Progress):
    """Keeps the notes of an export."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


class MadeUpProgram(Program[OnnxFiles]):
    """Writes a file that nothing can run."""

    writing = "making a program up"
    not_run = "there is nothing to run it with"

    def write(self, network: EncoderForecaster, folder: Path) -> OnnxFiles:
        (folder / "forecaster.madeup").write_text(str(network.config.channels))
        return OnnxFiles("forecaster.madeup", None, 7)

    def load(self, *_: object) -> RunProgram | None:
        return None


def test_a_new_kind_of_program_works_once_it_is_in_the_registry(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = ProgramKind("madeup", "needs nothing", f"{__name__}:{MadeUpProgram.__name__}")
    monkeypatch.setattr(PROGRAMS, "_entries", {**PROGRAMS, kind.name: kind})
    progress = Notes()
    config = ExportConfig(formats=("madeup",))
    result = exporting.export(make_run(tmp_path / "run"), tmp_path / "out", config, progress)
    assert result.differences == {"madeup": None}
    assert progress.notes == [MadeUpProgram.writing, MadeUpProgram.not_run]
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["madeup"] == {"file": "forecaster.madeup", "weights": None, "opset": 7}
    assert manifest["check"]["largest_difference"] == {"madeup": None}
    assert (tmp_path / "out" / "forecaster.madeup").read_text() == "3"


def test_a_folder_that_is_there_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with pytest.raises(OutputError, match="is there already"):
        exporting.export(run, run.folder)


def test_a_missing_library_is_reported_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(DependencyError, match="takes onnx"):
        exporting.export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_run_is_named(tmp_path: Path) -> None:
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(app, ["export", "nowhere"])
    assert done.exit_code == RunError.exit_code
    assert "nowhere: is not a run folder" in done.stderr
