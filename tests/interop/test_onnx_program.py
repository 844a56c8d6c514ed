"""ONNX files held to the network; `CONVLSTM_EXPORT=all` exports every kind, which takes minutes."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch
from exporting import KINDS, UNCONDITIONED, Kind, exported, needs_onnx, trials

from convlstm_cli.errors import DependencyError
from convlstm_cli.export import TOLERANCE
from convlstm_cli.interop import onnx_program
from convlstm_cli.interop.onnx_program import FILE, OPSET, OnnxFiles, OnnxProgram, save
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig

FILES = OnnxFiles(FILE, None, OPSET)


def check(network: EncoderForecaster, folder: Path, files: OnnxFiles) -> None:
    """Asserts that the file forecasts what the network does."""
    run = OnnxProgram().load(folder, files)
    assert run is not None
    with torch.no_grad():
        for frames, horizon in trials(network):
            torch.testing.assert_close(run(frames, horizon), network(frames, horizon), rtol=0, atol=TOLERANCE)


@needs_onnx
@pytest.mark.usefixtures("two_motions")
@pytest.mark.parametrize("kind", KINDS, ids="-".join)
def test_onnx_forecasts_what_the_network_does(
    kind: Kind, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    export = exported(kind, tmp_path_factory)
    check(export.network, export.result.folder, FILES)
    assert capfd.readouterr() == ("", "")


@needs_onnx
def test_large_weights_lie_beside(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    import onnx

    export = exported(UNCONDITIONED, tmp_path_factory)
    files = save(onnx.load_model(export.result.folder / FILE), tmp_path, external=True)
    assert files.weights is not None
    assert (tmp_path / files.weights).stat().st_size > 1024
    check(export.network, tmp_path, files)


@needs_onnx
@pytest.mark.parametrize(("limit", "external"), [(1, True), (1 << 30, False)])
def test_weights_are_large_from_a_size_on(
    limit: int, external: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []

    class Translated:
        graph = None

    monkeypatch.setattr(onnx_program, "EXTERNAL", limit)
    monkeypatch.setattr(onnx_program, "_translate", lambda _network: (Translated, {}))
    monkeypatch.setattr("convlstm_cli.interop.onnx_graph.assemble", lambda *_: None)
    monkeypatch.setattr(onnx_program, "save", lambda *_, external: asked.append(external))
    OnnxProgram().write(EncoderForecaster(ForecasterConfig(16, 16, 1, hidden=(2,))), tmp_path)
    assert asked == [external]


@pytest.mark.parametrize("package", ["onnx", "onnxscript"])
def test_a_missing_library_is_named(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("onnx", "onnxscript"):
        module = ModuleType(name)
        module.__spec__ = importlib.util.find_spec("json")
        monkeypatch.setitem(sys.modules, name, module)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(DependencyError, match=rf"takes {package}; install it with pip install 'convlstm\[onnx\]'"):
        OnnxProgram().check_installed()


def test_without_a_runtime_there_is_nothing_to_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    assert OnnxProgram().load(tmp_path, FILES) is None
