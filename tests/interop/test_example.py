"""templates/forecast.py, the example that every export comes with."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from exporting import TEMPLATES, load_example, make_run

from convlstm_cli.export import export
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.video.config import Fit
from convlstm_cli.video.geometry import FrameGeometry


@pytest.mark.xdist_group("export")
def test_the_example_runs_where_only_torch_was_exported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    result = export(make_run(tmp_path / "run", channels=1), folder, ExportConfig(formats=("torch",)))
    assert result.differences["torch"] is not None
    assert result.differences["torch"] < 1e-5
    assert "onnx" not in (folder / "README.md").read_text(encoding="utf-8").lower()
    example = load_example(folder)
    np.save(tmp_path / "clip.npy", np.random.default_rng(0).random((4, 16, 24)))
    monkeypatch.setattr(sys, "argv", ["forecast.py", str(tmp_path / "clip.npy"), str(tmp_path / "forecast.npy")])
    example.main()
    found = np.load(tmp_path / "forecast.npy")
    assert found.shape == (2, 16, 24, 1)
    assert 0 <= found.min() < found.max() <= 1


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("size", [(32, 48), (50, 37), (9, 20), (100, 11), (16, 24)])
def test_the_example_fits_frames_as_training_does(fit: Fit, size: tuple[int, int]) -> None:
    example = load_example(TEMPLATES)
    # Smooth, since OpenCV and the example round differently, and sharp edges would show that more than once.
    rows, columns = np.mgrid[: size[0], : size[1]]
    frame = (127 + 60 * np.sin(rows / 5)[..., None] + 60 * np.cos(columns[..., None] / [4, 5, 6])).astype(np.uint8)
    expected = FrameGeometry(16, 24, fit).fit_frame(frame)
    found = example.fit(frame / 255, 16, 24, fit) * 255
    np.testing.assert_allclose(found, expected, rtol=0, atol=2)


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        (np.zeros((2, 16, 24), np.uint8), "reads 3"),
        (np.zeros((3, 16, 24, 2), np.uint8), "C = 1 or 3"),
        (np.full((3, 16, 24), 2.0), "0, 1"),
    ],
)
def test_the_example_refuses_other_frames(frames: npt.NDArray[Any], words: str) -> None:
    example = load_example(TEMPLATES)
    manifest = {"frames": {"shape": ["batch", 3, 1, 16, 24], "fit": "pad"}}
    with pytest.raises(SystemExit, match=words):
        example.prepare(frames, manifest)
