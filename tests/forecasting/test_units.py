from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from prediction import Notes, frames_of, lively, make_run, one

from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.predict import predict
from convlstm_cli.runs.run import Run
from convlstm_cli.video.values import ValueRange


def still(folder: Path, dtype: str, low: float, high: float) -> Path:
    """A video that does not change, so that its forecast is its last frame."""
    frame = np.linspace(low, high, 32 * 32).reshape(32, 32).astype(dtype)
    np.save(folder / "still.npy", np.stack([frame] * 6))
    return folder / "still.npy"


def run_of(folder: Path, values: ValueRange) -> Run:
    run = Run.open(folder) if folder.exists() else make_run(folder)
    run.config["data"]["values"] = vars(values)
    return run


@pytest.mark.parametrize(
    ("dtype", "low", "high"),
    [("uint16", 29_300, 30_300), ("int16", -2000, 3500), ("float32", 0, 1.5e-3), ("float64", -32, 60), ("bool", 0, 1)],
)
@pytest.mark.parametrize("trained", [None, "here"])
def test_a_forecast_has_the_type_and_the_values_of_its_source(
    tmp_path: Path, dtype: str, low: float, high: float, trained: str | None
) -> None:
    source = still(tmp_path, dtype, low, high)
    run = make_run(tmp_path / "run") if trained is None else run_of(tmp_path / "run", ValueRange(low, high, "K"))
    forecast = one(run, source, tmp_path / "out", PredictConfig(formats=("npy", "png", "lossless"), guard=False))
    frames, last = np.load(forecast.folder / "forecast.npy"), np.load(source)[-1]
    assert (frames.shape, frames.dtype) == ((3, 32, 32), np.dtype(dtype))
    np.testing.assert_allclose(frames[0].astype(float), last.astype(float), atol=(high - low) / 400)
    pictures = frames_of(forecast.folder / "forecast.mkv")
    assert pictures.dtype == np.uint8
    assert pictures.max() > 200
    images = frames_of(forecast.folder)
    assert images.dtype == (np.uint16 if dtype == "uint16" else np.uint8)
    if dtype == "uint16":
        np.testing.assert_array_equal(images[..., 0], frames)
    assert (forecast.values.unit == "K") == (trained is not None)


def test_values_outside_the_range_of_the_training_are_reported(tmp_path: Path) -> None:

    notes = Notes()
    run = run_of(tmp_path / "run", ValueRange(0.0, 80.0, "mm/h"))
    list(predict([still(tmp_path, "float32", 200, 300)], run, tmp_path / "out", None, notes))
    assert any("lie outside the 0 to 80 mm/h of the training" in note for note in notes.notes)


@pytest.mark.parametrize(("dtype", "missing"), [("float32", None), ("int16", -9999), ("uint8", 255)])
@pytest.mark.parametrize("size", ["source", "model"])
def test_what_the_input_never_has_is_missing_in_the_forecast(
    tmp_path: Path, dtype: str, missing: int | None, size: str
) -> None:
    frames = np.random.default_rng(0).integers(20, 90, (8, 48, 48)).astype(dtype)
    outside = np.zeros((48, 48), bool)
    outside[:, :18] = True
    frames[:, outside] = np.nan if missing is None else missing
    frames[2, 40:] = np.nan if missing is None else missing
    np.save(tmp_path / "radar.npy", frames)
    run = run_of(lively(make_run(tmp_path / "run")).folder, ValueRange(0.0, 100.0))
    config = PredictConfig(formats=("npy", "lossless"), at=5, size=size, missing=missing)
    forecast = one(run, tmp_path / "radar.npy", tmp_path / "out", config)
    written = np.load(forecast.folder / "forecast.npy")
    side = 48 if size == "source" else 32
    expected = np.zeros((side, side), bool)
    expected[:, : side * 18 // 48] = True
    gone = np.isnan(written) if missing is None else written == missing
    np.testing.assert_array_equal(gone, np.broadcast_to(expected, gone.shape))
    pictures = frames_of(forecast.folder / "forecast.mkv")[:, expected]
    assert (pictures == (255 if dtype == "uint8" else 0)).all()  # of bytes the video keeps the value
    assert forecast.scores is not None
    assert forecast.scores.model.mean_mse < 0.2 * 100.0**2  # in the unit of the range


def test_a_film_of_the_truth_has_gaps_where_the_truth_has_none(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).uniform(20, 90, (6, 32, 32)).astype(np.float32)
    frames[4, :9], frames[4, 9:12] = -9999.0, np.inf
    np.save(tmp_path / "radar.npy", frames)
    run = run_of(make_run(tmp_path / "run").folder, ValueRange(0.0, 100.0))
    forecast = one(run, tmp_path / "radar.npy", tmp_path / "out", PredictConfig(formats=("npy",), at=4, missing=-9999))
    truth = np.load(forecast.folder / "scored" / "truth-and-forecast.npy")[0, :, :32]
    np.testing.assert_array_equal(np.isnan(truth).squeeze(), np.broadcast_to(np.arange(32)[:, None] < 12, (32, 32)))


def test_transparent_pixels_of_images_are_transparent_in_the_forecast(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(1, 256, (5, 32, 32, 2), np.uint8)
    frames[..., 1] = 255
    frames[:, :7, :, 1] = 0
    frames[1:3, 20:, :, 1] = 0
    (tmp_path / "overlay").mkdir()
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(tmp_path / "overlay" / f"f{number}.png")
    run = lively(make_run(tmp_path / "run"))
    forecast = one(run, tmp_path / "overlay", tmp_path / "out", PredictConfig(formats=("png", "npy")))
    written = np.load(forecast.folder / "forecast.npy")
    for number, expected in enumerate(written, start=1):
        with Image.open(forecast.folder / f"frame_{number:06d}.png") as image:
            assert image.mode == "LA"
            grey, alpha = np.asarray(image).transpose(2, 0, 1)
        np.testing.assert_array_equal(alpha, np.where(np.arange(32)[:, None] < 7, 0, 255) * np.ones(32))
        np.testing.assert_array_equal(grey, np.rint(np.nan_to_num(expected.reshape(32, 32))))


@pytest.mark.parametrize("mask", [False, True])
def test_a_forecast_does_not_depend_on_what_lies_under_the_mask(tmp_path: Path, mask: bool) -> None:
    run = lively(make_run(tmp_path / "run", size=32, mask=mask))
    frames = np.random.default_rng(0).uniform(0, 50, (6, 32, 32)).astype(np.float32)
    holes = np.random.default_rng(1).random(frames.shape) < 0.3
    found = []
    for under in (np.nan, np.inf, -9999.0):
        np.save(tmp_path / "radar.npy", np.where(holes, np.float32(under), frames))
        forecast = one(
            run, tmp_path / "radar.npy", tmp_path / f"{under}", PredictConfig(formats=("npy",), missing=-9999)
        )
        found.append(np.load(forecast.folder / "forecast.npy"))
    np.testing.assert_array_equal(np.isnan(found[0]), np.broadcast_to(holes[-4:].all(axis=0), found[0].shape))
    np.testing.assert_array_equal(found[0], found[1])
    np.testing.assert_array_equal(found[0], found[2])


def test_an_input_without_a_value_is_refused(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((12, 32, 32), np.float32)
    frames[-4:] = np.nan
    np.save(tmp_path / "a.npy", frames)
    run = make_run(tmp_path / "run")
    with pytest.raises(InputError, match=r"a\.npy: has no value in frames 9 to 12.*--at"):
        one(run, tmp_path / "a.npy", tmp_path / "out")
    assert one(run, tmp_path / "a.npy", tmp_path / "out", PredictConfig(at=9)).last_input_frame == 9


def test_values_of_another_kind_than_those_of_the_training_are_reported(tmp_path: Path) -> None:
    notes, run = Notes(), run_of(tmp_path / "run", ValueRange(0.0, 255.0, "mm/h", log=True))
    list(predict([still(tmp_path, "uint8", 0, 200)], run, tmp_path / "out", None, notes))
    assert any("holds 8-bit pictures, and the training was on values in mm/h" in note for note in notes.notes)
