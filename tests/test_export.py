"""Exported programs held to the network; `CONVLSTM_EXPORT=all` exports every kind of network, which takes minutes."""

import contextlib
import importlib.util
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import pytest
import torch
from helpers import data_record, moving_square
from typer.testing import CliRunner

from convlstm_cli import export as exporting
from convlstm_cli.cli.app import app
from convlstm_cli.errors import DependencyError, OutputError, RunError, UsageError
from convlstm_cli.interop import onnx_file
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import ForecasterKind, Head, Peephole
from convlstm_cli.nn.exportable import record_parts, run_parts
from convlstm_cli.runs.run import Run
from convlstm_cli.video.geometry import FrameGeometry

ROOT = Path(__file__).parent.parent
TORCH = ExportConfig(formats=("torch",))

EVERY_KIND = [(f, h, p) for f in get_args(ForecasterKind) for h in get_args(Head) for p in get_args(Peephole)]
ONCE_EACH = [
    ("advected", "mix", "channel"),
    ("unconditioned", "sigmoid", "none"),
    ("autoregressive", "residual", "full"),
]
KINDS = EVERY_KIND if os.environ.get("CONVLSTM_EXPORT") == "all" else ONCE_EACH

needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxscript", "onnxruntime"))),
    reason="takes onnx, onnxscript and onnxruntime",
)


def make_network(
    forecaster: Any, head: Any, peephole: Any, channels: int = 1, size: tuple[int, int] = (8, 12)
) -> EncoderForecaster:
    """Small, with weights that make frames differ; from a side of 16 pixels on, motion has several levels."""
    torch.manual_seed(0)
    config = ForecasterConfig(
        *size, channels, hidden=(3, 2), patch_size=2 if channels == 1 else 4, input_frames=3, horizon=2,
        forecaster=forecaster, head=head, peephole=peephole,
    )  # fmt: skip
    network = EncoderForecaster(config).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(std=0.3)
    return network


def make_run(folder: Path, channels: int = 3, fit: str = "pad", **model: Any) -> Run:
    config = ForecasterConfig(16, 24, channels, hidden=(3,), patch_size=2, input_frames=3, horizon=2, **model)
    data = data_record(16, 24, channels, fit)
    run = Run.create(folder, {"model": asdict(config), "training": {}, "data": data})
    torch.manual_seed(1)
    network = EncoderForecaster(config)
    run.save_weights({name: value + 0.05 * torch.randn_like(value) for name, value in network.state_dict().items()})
    return run


def trials(network: EncoderForecaster) -> Iterator[tuple[torch.Tensor, int]]:
    """Batches and horizons that nothing was recorded with."""
    config = network.config
    for batch, horizon in ((1, 5), (3, 1)):
        yield torch.rand(batch, config.input_frames, config.channels, config.height, config.width), horizon


def load_example(folder: Path) -> ModuleType:
    """forecast.py of an export."""
    spec = importlib.util.spec_from_file_location("forecast", folder / "forecast.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize(("forecaster", "head", "peephole"), KINDS)
def test_torch_programs_forecast_what_the_network_does(forecaster: str, head: str, peephole: str) -> None:
    network = make_network(forecaster, head, peephole)
    parts = {}
    for name, program in record_parts(network).items():
        file = io.BytesIO()
        torch.export.save(program, file)
        assert str(ROOT).encode() not in file.getvalue()
        parts[name] = torch.export.load(file).module()
    with torch.no_grad():
        for frames, horizon in trials(network):
            expected = network(frames, horizon)
            torch.testing.assert_close(run_parts(parts, frames, horizon), expected, rtol=0, atol=1e-5)


@needs_onnx
@pytest.mark.parametrize(("forecaster", "head", "peephole"), KINDS)
def test_onnx_forecasts_what_the_network_does(
    forecaster: str, head: str, peephole: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    network = make_network(forecaster, head, peephole, channels=1 if peephole == "channel" else 3, size=(16, 20))
    [file] = onnx_file.write_onnx(network, tmp_path / "forecaster.onnx")
    assert str(ROOT).encode() not in file.read_bytes()
    with torch.no_grad():
        for frames, horizon in trials(network):
            found = onnx_file.run_onnx(file, frames, horizon)
            torch.testing.assert_close(found, network(frames, horizon), rtol=0, atol=exporting.TOLERANCE)
    assert capfd.readouterr() == ("", "")


@needs_onnx
def test_large_weights_lie_beside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(onnx_file, "EXTERNAL", 1)
    network = make_network("unconditioned", "mix", "none", channels=3)
    [file, weights] = onnx_file.write_onnx(network, tmp_path / "forecaster.onnx")
    assert weights.stat().st_size > 1024
    with torch.no_grad():
        for frames, horizon in trials(network):
            torch.testing.assert_close(
                onnx_file.run_onnx(file, frames, horizon), network(frames, horizon), rtol=0, atol=exporting.TOLERANCE
            )


@needs_onnx
def test_the_folder_has_all_that_one_needs(tmp_path: Path) -> None:
    """The command, with every format; then the example, in a process that knows nothing but the folder."""
    run = make_run(tmp_path / "run", fit="crop", forecaster="autoregressive")
    done = CliRunner().invoke(app, ["export", str(run.folder), "--json"])
    assert done.exit_code == 0, done.stderr
    folder = run.folder / "export-1"
    result = json.loads(done.stdout)
    assert result["folder"] == str(folder)
    assert set(result["files"]) == {path.name for path in folder.iterdir()} == {
        *("manifest.json", "README.md", "forecast.py", "forecaster.onnx", "start.pt2", "read.pt2", "step.pt2")
    }  # fmt: skip
    assert done.stderr.rstrip().endswith(f"next: python {folder / 'forecast.py'} FRAMES.npy FORECAST.npy")

    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["frames"]["shape"] == ["batch", 3, 3, 16, 24]
    assert (manifest["frames"]["colour"], manifest["frames"]["fit"]) == ("RGB", "crop")
    assert manifest["parameters"] == sum(p.numel() for p in EncoderForecaster(run.model_config).parameters())
    assert max(manifest["check"]["largest_difference"].values()) < exporting.TOLERANCE
    for path in ("manifest.json", "README.md", "forecast.py"):
        text = (folder / path).read_text(encoding="utf-8")
        assert str(tmp_path) not in text
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
        expected = run.load_model(torch.device("cpu"))(clip, 6)[0].permute(0, 2, 3, 1)
    found = np.load(tmp_path / "out.npy")
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.01)  # fitting may differ by a step of 1/255


def test_the_example_runs_where_only_torch_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path / "run", channels=1, forecaster="unconditioned")
    result = exporting.export(run, tmp_path / "out", TORCH)
    assert result.differences["torch"] is not None
    assert result.differences["torch"] < 1e-5
    assert "onnx" not in (tmp_path / "out" / "README.md").read_text(encoding="utf-8").lower()
    example = load_example(tmp_path / "out")
    np.save(tmp_path / "clip.npy", np.random.default_rng(0).random((4, 16, 24)))
    monkeypatch.setattr(sys, "argv", ["forecast.py", str(tmp_path / "clip.npy"), str(tmp_path / "forecast.npy")])
    example.main()
    found = np.load(tmp_path / "forecast.npy")
    assert found.shape == (2, 16, 24, 1)
    assert 0 <= found.min() < found.max() <= 1


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("size", [(32, 48), (50, 37), (9, 20), (100, 11), (16, 24)])
def test_the_example_fits_frames_as_training_does(fit: Any, size: tuple[int, int]) -> None:
    example = load_example(ROOT / "convlstm_cli" / "templates")
    # Smooth, as where OpenCV and the example round differently, sharp edges would tell it more than once.
    rows, columns = np.mgrid[: size[0], : size[1]]
    frame = (127 + 60 * np.sin(rows / 5)[..., None] + 60 * np.cos(columns[..., None] / [4, 5, 6])).astype(np.uint8)
    expected = FrameGeometry(16, 24, fit).fit_frame(frame)
    found = example.fit(frame / 255, 16, 24, fit) * 255
    np.testing.assert_allclose(found, expected, rtol=0, atol=2)


@pytest.mark.parametrize(
    ("frames", "told"),
    [
        (np.zeros((2, 16, 24), np.uint8), "reads 3"),
        (np.zeros((3, 16, 24, 2), np.uint8), "C = 1 or 3"),
        (np.full((3, 16, 24), 2.0), "0, 1"),
    ],
)
def test_the_example_refuses_other_frames(frames: Any, told: str) -> None:
    example = load_example(ROOT / "convlstm_cli" / "templates")
    manifest = {"frames": {"shape": ["batch", 3, 1, 16, 24], "fit": "pad"}}
    with pytest.raises(SystemExit, match=told):
        example.prepare(frames, manifest)


def test_an_export_that_forecasts_something_else_is_not_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", forecaster="unconditioned")
    monkeypatch.setattr(exporting, "run_parts", lambda parts, frames, horizon: run_parts(parts, frames, horizon) + 0.01)
    with pytest.raises(OutputError, match=r"differs from the network by 0\.01"):
        exporting.export(run, tmp_path / "out", TORCH)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"]


def test_a_network_whose_forecasts_are_not_finite_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run", forecaster="unconditioned")
    network = run.load_model(torch.device("cpu"))
    monkeypatch.setattr(Run, "load_model", lambda *_: network)
    with torch.no_grad():
        next(network.parameters()).fill_(torch.nan)
    with pytest.raises(OutputError, match="not finite"):
        exporting.export(run, tmp_path / "out", TORCH)
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_refused(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    with pytest.raises(OutputError, match="is there already"):
        exporting.export(run, run.folder)


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_library_is_told_before_anything_is_done(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(tmp_path / "run")
    monkeypatch.setitem(sys.modules, "onnx", ModuleType("onnx"))
    monkeypatch.setitem(sys.modules, "onnxscript", ModuleType("onnxscript"))
    sys.modules["onnx"].__spec__ = sys.modules["onnxscript"].__spec__ = importlib.util.find_spec("json")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=rf"takes {package}; install it with pip install 'convlstm\[onnx\]'"):
        exporting.export(run, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_wrong_uses_are_told(tmp_path: Path) -> None:
    for formats in ((), ("keras",)):
        with pytest.raises(UsageError, match="--format"):
            ExportConfig(formats=formats)
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(app, ["export", "nowhere"])
    assert done.exit_code == RunError.exit_code
    assert "nowhere: is not a run folder" in done.stderr
