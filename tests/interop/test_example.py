"""templates/forecast.py, the example that every export comes with."""

import json
import math
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from exporting import TEMPLATES, described, load_example, make_run

from convlstm_cli.arrays import forecast
from convlstm_cli.export import export, manifest_of
from convlstm_cli.forecasting.conversion import FrameConversion, fitted
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.interop.readme import render_readme
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.video.config import Fit
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.missing import mark
from convlstm_cli.video.tensors import to_float, valid
from convlstm_cli.video.values import BYTES, ValueRange


def test_the_example_gives_a_forecast_in_the_unit_of_the_training(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, values = make_run(tmp_path / "run", channels=1), ValueRange(-10.0, 60.0, "dBZ")
    run.config["data"]["values"] = vars(values)
    made = described(run.model_config, values)
    assert "values of -10 to 60 dBZ" in render_readme(made)
    folder = tmp_path / "out"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(made.to_dict()), encoding="utf-8")
    (folder / "forecast.py").write_bytes((TEMPLATES / "forecast.py").read_bytes())
    frames = np.random.default_rng(0).uniform(-10, 60, (4, 16, 24)).astype(np.float32)
    frames[:, :, :5] = np.nan
    np.save(tmp_path / "clip.npy", frames)
    monkeypatch.setattr(sys, "argv", ["forecast.py", str(tmp_path / "clip.npy"), str(tmp_path / "forecast.npy"), "1"])
    example, network = load_example(folder), run.load_model(torch.device("cpu"))
    monkeypatch.setattr(
        example, "forecast", lambda clip, horizon, _: network(torch.from_numpy(clip), horizon).detach().numpy()
    )
    example.main()
    found = np.load(tmp_path / "forecast.npy")
    assert np.isnan(found[:, :, :5]).all()
    expected = forecast(frames, run, horizon=1, guard=False)
    np.testing.assert_allclose(found[0, :, 5:, 0], expected[0, :, 5:], rtol=0, atol=1e-3)


def test_the_readme_names_the_channels_that_are_read_alone_and_what_is_missing() -> None:
    made = described(ForecasterConfig(16, 24, 1, inputs=2, mask=True), ValueRange(0.0, 80.0, "mm/h"), -9999.0)
    text = render_readme(replace(made, frames=replace(made.frames, guides=(Guide("height"), Guide(3)))))
    assert "(T, H, W, 3), height and channel 3 last, which are not forecast, in any type of numbers" in text
    assert "with NaN or -9999 where there is no value" in text
    assert "one channel, and behind them height and channel 3" in text


def test_what_means_no_data_in_the_videos_of_a_training_is_in_the_manifest(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    run.config["data"]["missing"] = -9999.0
    assert manifest_of(run, run.load_model(torch.device("cpu")), {}, {}).frames.missing == -9999.0


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


def test_the_example_says_which_pixels_are_missing() -> None:
    known = manifest(channels=2)
    known["frames"]["mask_rule"] = "1 where known"
    frames = np.zeros((3, 16, 20))  # with padding, which is no gap
    frames[1, :, :5] = np.nan
    clip, unknowable = load_example(TEMPLATES).prepare(frames, vars(ValueRange(0.0, 1.0)), known)
    assert clip.shape == (1, 3, 2, 16, 24)
    assert clip.sum(axis=(0, 3, 4)).tolist() == [[0, 16 * 24], [0, 16 * 24 - 16 * 5], [0, 16 * 24]]
    assert not unknowable.any()


def test_the_example_takes_the_channels_that_are_read_alone() -> None:
    known = manifest(channels=2)
    known["network"]["inputs"] = 1
    known["frames"]["guides"] = [{"channel": "height", "values": vars(ValueRange(100.0, 300.0)), "known": False}]
    example, values = load_example(TEMPLATES), vars(ValueRange(0.0, 255.0))
    frames = np.random.default_rng(0).integers(100, 256, (3, 16, 24, 2)).astype(np.float32)
    clip, unknowable = example.prepare(frames, values, known)
    np.testing.assert_allclose(clip[0, :, 0], frames[..., 0] / 255, atol=1e-6)
    np.testing.assert_allclose(clip[0, :, 1], (frames[..., 1] - 100) / 200, atol=1e-6)
    assert unknowable.shape == (16, 24, 1)
    with pytest.raises(SystemExit, match="the last 1 not forecast"):
        example.prepare(frames[..., 0], values, known)


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
@pytest.mark.parametrize("size", [(32, 48), (50, 37), (9, 20), (100, 11), (16, 24)])
def test_the_example_fits_frames_as_training_does(fit: Fit, size: tuple[int, int]) -> None:
    example = load_example(TEMPLATES)
    # Smooth, since OpenCV and the example round differently, and sharp edges would show that more than once.
    rows, columns = np.mgrid[: size[0], : size[1]]
    frame = (127 + 60 * np.sin(rows / 5)[..., None] + 60 * np.cos(columns[..., None] / [4, 5, 6])).astype(np.uint8)
    expected = FrameGeometry(16, 24, fit).fit_frame(frame)
    found = example.placed(example.fit(frame.astype(float), 16, 24, fit)[None], 16, 24)[0]
    np.testing.assert_allclose(found.clip(0, 255), expected, rtol=0, atol=2)


def manifest(
    fit: str = "pad", channels: int = 1, values: ValueRange | None = BYTES, missing: float | None = None
) -> Any:
    known = None if values is None else vars(values)
    return {
        "frames": {
            "shape": ["batch", 3, channels, 16, 24],
            "fit": fit,
            "values": known,
            "missing": missing,
            "mask_rule": None,
            "guides": [],
        },
        "network": {"inputs": 0},
    }


@pytest.mark.parametrize("log", [False, True])
@pytest.mark.parametrize(
    ("dtype", "missing"), [("float32", None), ("float64", -9999), ("int16", -9999), ("uint16", None)]
)
@pytest.mark.parametrize("fit", ["pad", "crop"])
def test_the_example_maps_values_as_training_does(dtype: str, missing: int | None, log: bool, fit: Fit) -> None:
    example, values = load_example(TEMPLATES), ValueRange(10.0, 200.0, "mm/h", log)
    rows, columns = np.mgrid[:33, :40]
    frames = np.stack([100 + 80 * np.sin((rows + columns + 3 * step) / 9) for step in range(4)]).astype(dtype)
    holes = np.broadcast_to((columns < 11) | (rows > 25), frames.shape).copy()
    holes[2] |= rows < 9
    if missing is not None:
        frames[holes] = missing
    elif dtype == "float32":
        frames[holes] = np.nan
    whole = list(frames[..., None])
    last = mark(whole[-1], missing)
    conversion = FrameConversion(
        FrameGeometry(16, 24, fit), at_model_size=True, last=last, values=values, missing=missing
    )
    clip = conversion.to_clip(fitted(whole[-3:], conversion.geometry, 1, missing))
    expected, there = to_float(clip, torch.device("cpu")), valid(clip, torch.device("cpu"))
    found, unknowable = example.prepare(
        frames, example.range_of(frames, manifest(fit, 1, values)), manifest(fit, 1, values, missing)
    )
    assert found.dtype == np.float32
    there = torch.ones_like(expected, dtype=torch.bool) if there is None else there
    np.testing.assert_allclose(found[there], expected[there], rtol=0, atol=0.02)
    np.testing.assert_allclose(found, expected, rtol=0, atol=0.2)  # what is missing is filled by another distance
    np.testing.assert_array_equal(unknowable[:, :, 0], ~there.any(dim=1)[0, 0].numpy())
    np.testing.assert_allclose(
        example.from_unit(example.to_unit(frames[0], vars(values)), vars(values)).clip(10, 200),
        frames[0].astype(float).clip(10, 200),
        rtol=1e-5,
    )


def test_of_a_frame_without_any_value_the_nearest_in_time_is_read() -> None:
    example, values = load_example(TEMPLATES), ValueRange(0.0, 10.0)
    frames = np.stack([np.full((16, 24), value) for value in (2.0, math.nan, 4.0)])
    clip, unknowable = example.prepare(frames, vars(values), manifest(values=values))
    np.testing.assert_allclose(clip[0, :, 0, 0, 0], [0.2, 0.2, 0.4])
    assert not unknowable.any()
    clip, unknowable = example.prepare(frames * math.nan, vars(values), manifest(values=values))
    assert (clip == 0).all()
    assert unknowable.all()


@pytest.mark.parametrize("values", [None, BYTES])
def test_weights_without_a_unit_take_a_range_that_is_asked_for(values: ValueRange | None) -> None:
    example, plain = load_example(TEMPLATES), manifest(values=values)
    assert example.range_of(np.zeros((3, 16, 24), np.uint8), plain) == example.PICTURES
    assert example.range_of(np.full((3, 16, 24), 0.5), plain)["high"] == 1.0
    assert example.range_of(np.full((3, 16, 24), 60.0), plain, "-10,80") == {"low": -10.0, "high": 80.0, "log": False}
    with pytest.raises(SystemExit, match="--range is 80; give the least value"):
        example.range_of(np.full((3, 16, 24), 60.0), plain, "80")


@pytest.mark.parametrize(
    ("frames", "channels", "words"),
    [
        (np.zeros((2, 16, 24), np.uint8), 1, "reads 3"),
        (np.zeros((3, 16, 24, 2), np.uint8), 1, "C = 1 or 3"),
        (np.zeros((3, 16, 24), np.uint8), 4, "C = 4"),
        (np.full((3, 16, 24), 2.0), 1, "0, 1"),
    ],
)
def test_the_example_refuses_other_frames(frames: npt.NDArray[Any], channels: int, words: str) -> None:
    example, known = load_example(TEMPLATES), manifest(channels=channels)
    with pytest.raises(SystemExit, match=words):
        example.prepare(frames, example.range_of(frames, known), known)


def test_channels_of_different_kinds_are_mapped_each_by_its_range() -> None:
    values = ValueRange.of_bands([ValueRange(0.0, 1.0), ValueRange(180.0, 330.0), ValueRange(-5.0, 5.0)])
    example = load_example(TEMPLATES)
    entries = {**manifest(channels=3), "frames": {**manifest(channels=3)["frames"], "values": values.to_dict()}}
    found = example.range_of(np.zeros((3, 16, 24, 3)), entries)
    frames = np.broadcast_to(np.array([0.25, 255.0, 0.0]), (3, 16, 24, 3))
    clip, _ = example.prepare(frames, found, entries)
    np.testing.assert_allclose(clip[0, 0, :, 4, 4], [0.25, 0.5, 0.5])
    np.testing.assert_allclose(example.from_unit(clip[0].transpose(0, 2, 3, 1), found), frames)
