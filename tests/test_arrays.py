"""`forecast`: arrays in, arrays of the same kind out."""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from prediction import Notes, lively, make_run, one

import convlstm_cli
from convlstm_cli.arrays import forecast
from convlstm_cli.errors import InputError, RunError, UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.video.values import ValueRange

xarray = pytest.importorskip("xarray")
MANUAL = Path(convlstm_cli.__file__).with_name("README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run of 4 frames to read and 3 to forecast, at 32x32."""
    return lively(make_run(tmp_path_factory.mktemp("run") / "run"))


def rain(dtype: str = "float32", steps: int = 6) -> np.ndarray:
    """Moving values from 0 to 40, (T, 24, 40)."""
    rows, columns = np.mgrid[:24, :40]
    frames = [20 + 20 * np.sin((columns + rows - 2 * step) / 5) for step in range(steps)]
    return np.stack(frames).astype(dtype)


def written(run: Run, given: np.ndarray, folder: Path, **settings: Any) -> np.ndarray:
    """What `convlstm predict` writes of frames as .npy."""
    np.save(folder / "frames.npy", given)
    made = one(run, folder / "frames.npy", folder / "out", PredictConfig(formats=("npy",), **settings))
    return np.asarray(np.load(made.folder / "forecast.npy"))


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "float32", "float64"])
def test_an_array_has_the_forecast_that_predict_writes(run: Run, tmp_path: Path, dtype: str) -> None:
    frames = rain(dtype)
    found = forecast(frames, run.folder, horizon=5)
    assert (type(found), found.shape, found.dtype) == (np.ndarray, (5, 24, 40), frames.dtype)
    np.testing.assert_array_equal(found, written(run, frames, tmp_path, frames=5))


def test_options_do_what_they_do_in_predict(run: Run, tmp_path: Path) -> None:
    frames = rain()
    frames[:, :, :9] = -999
    found = forecast(frames, run, range=(0, 60), log=True, missing=-999, guard=False, native_size=True)
    options = {"value_range": "0,60", "log": True, "missing": -999, "guard": False, "native_size": True}
    np.testing.assert_array_equal(found, written(run, frames, tmp_path, **options))
    assert np.isnan(found[:, :, :9]).all()
    assert not np.isnan(found[:, :, 9:]).any()


def test_the_shipped_weights_forecast_colour() -> None:
    colour = np.stack([rain("uint8"), rain("uint8") * 2, rain("uint8") * 3], axis=-1)
    assert forecast(colour, horizon=1).shape == (1, 24, 40, 3)


@pytest.fixture(scope="module")
def noisy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run whose network reads noise, otherwise as `run`."""
    return lively(make_run(tmp_path_factory.mktemp("noisy") / "run", noise=True))


def test_members_are_those_that_predict_writes_along_a_first_axis(noisy: Run, tmp_path: Path) -> None:
    frames = rain()
    notes = Notes()
    found = forecast(frames, noisy, members=3, seed=2, progress=notes)
    assert any("not calibrated" in note for note in notes.notes)
    written(noisy, frames, tmp_path, members=3, seed=2)
    assert (found.shape, found.dtype) == ((3, 3, 24, 40), frames.dtype)
    np.testing.assert_array_equal(found, np.load(tmp_path / "out" / "frames" / "members.npy"))
    masked = forecast(np.ma.masked_less(frames, 1), noisy, members=2)
    assert isinstance(masked, np.ma.MaskedArray)
    assert torch.equal(forecast(torch.from_numpy(frames), noisy, members=3, seed=2), torch.from_numpy(found))


def test_members_of_a_data_array_have_a_dimension_and_a_number(noisy: Run) -> None:
    found = forecast(labelled(), noisy, members=2)
    assert found.dims == ("member", "time", "lat", "lon")
    assert found.member.values.tolist() == [1, 2]
    assert found.isel(member=1, drop=True).dims == forecast(labelled(), noisy).dims
    assert found.std("member").mean() > 0
    taken = forecast(labelled().expand_dims({"member": [7]}), noisy, members=2)
    assert taken.dims == ("realization", "member", "time", "lat", "lon")


def test_masked_arrays_come_back_masked(run: Run) -> None:
    frames = np.ma.masked_less(rain("int16"), 1)
    frames[:, 5:9] = np.ma.masked
    found = forecast(frames, run)
    assert isinstance(found, np.ma.MaskedArray)
    assert (found.dtype, found.shape) == (np.dtype(np.int16), (3, 24, 40))
    assert np.ma.getmaskarray(found)[:, 5:9].all()
    assert 0 <= found.min() < found.max() <= 40
    nans = np.where(np.ma.getmaskarray(frames), np.nan, frames.data)
    np.testing.assert_array_equal(found.filled(-1), np.nan_to_num(np.rint(forecast(nans, run)), nan=-1))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8, torch.int64])
def test_tensors_come_back_as_tensors(run: Run, dtype: torch.dtype) -> None:
    frames = torch.from_numpy(rain("float64")).to(dtype)
    found = forecast(frames[:, None].requires_grad_(dtype == torch.float32), run)
    assert (found.shape, found.dtype, found.requires_grad) == ((3, 1, 24, 40), dtype, False)
    assert torch.equal(found[:, 0], forecast(frames, run))
    if dtype != torch.bfloat16:
        np.testing.assert_array_equal(found[:, 0].numpy(), forecast(frames.numpy(), run))


def labelled(dims: tuple[str, ...] = ("time", "lat", "lon"), **coords: Any) -> Any:
    times = np.datetime64("2024-05-01T12:00", "ns") + np.timedelta64(5, "m") * np.arange(6)
    coords = {"time": times, "lat": np.linspace(60, 61, 24), "lon": np.linspace(20, 24, 40), "level": 850.0} | coords
    return xarray.DataArray(
        rain(), coords, ("time", "lat", "lon"), "rain", {"units": "mm/h", "valid_range": [0.0, 60.0]}
    ).transpose(*dims)


def test_a_data_array_goes_on_in_time_and_keeps_its_coordinates(run: Run, tmp_path: Path) -> None:
    frames = labelled()
    frames.time.attrs["standard_name"] = "time"
    found = forecast(frames, run)
    assert (found.name, found.attrs, found.dims, found.dtype) == ("rain", frames.attrs, frames.dims, frames.dtype)
    assert found.time.values.tolist() == (frames.time.values[-1] + np.timedelta64(5, "m") * np.arange(1, 4)).tolist()
    assert found.time.attrs == {"standard_name": "time"}
    assert all(found[name].equals(frames[name]) for name in ("level", "lat", "lon"))
    assert (found - frames.isel(time=-1, drop=True)).shape == (3, 24, 40)  # its coordinates align
    np.testing.assert_array_equal(found, written(run, frames.values, tmp_path, value_range="0,60"))
    turned = forecast(labelled(("lon", "time", "lat")), run)
    assert turned.dims == ("lon", "time", "lat")
    assert turned.transpose(*frames.dims).equals(found)
    spoilt = frames.isel(time=[5, 1, 2, 0, 4, 3])
    assert forecast(spoilt, run).equals(found)


@pytest.mark.parametrize(
    ("times", "attributes", "following"),
    [
        (np.arange(6) * 10, {"units": "minutes since 2024-05-01"}, [60, 70, 80]),
        (np.arange(6) * 0.5, {}, [3.0, 3.5, 4.0]),
        (np.timedelta64(2, "h") * np.arange(6), {}, (np.timedelta64(2, "h") * np.arange(6, 9)).tolist()),
        (np.array(list("abcdef")), {}, None),
    ],
)
def test_times_of_any_kind_go_on(run: Run, times: np.ndarray, attributes: dict[str, str], following: Any) -> None:
    frames = labelled(time=("time", times, attributes))
    found = forecast(frames, run)
    if following is None:
        assert "time" not in found.coords
    else:
        assert found.time.values.tolist() == np.asarray(following, frames.time.dtype).tolist()
        assert found.time.dtype == frames.time.dtype


def test_dates_of_other_calendars_go_on(run: Run) -> None:
    cftime = pytest.importorskip("cftime")
    times = cftime.num2date(np.arange(6) * 30, "days since 2000-01-01", "360_day")
    found = forecast(labelled(time=times), run)
    assert found.time.values.tolist() == cftime.num2date([180, 210, 240], "days since 2000-01-01", "360_day").tolist()


def test_channels_and_axes_of_one_entry_stay_in_place(run: Run) -> None:
    frames = labelled().expand_dims({"band": ["rain"], "member": [7]}, axis=(1, 3))
    found = forecast(frames, run)
    assert found.dims == frames.dims == ("time", "band", "lat", "member", "lon")
    assert found.equals(forecast(labelled(), run).expand_dims({"band": ["rain"], "member": [7]}, axis=(1, 3)))


def test_the_scale_of_a_file_is_that_of_its_valid_range(run: Run, tmp_path: Path) -> None:
    frames = labelled().drop_attrs()
    frames.attrs |= {"valid_range": [0, 600]}
    frames.encoding |= {"scale_factor": 0.1, "dtype": "int16", "chunksizes": (1, 24, 40)}
    found = forecast(frames, run)
    np.testing.assert_array_equal(found, written(run, frames.values, tmp_path, value_range="0,60"))
    assert found.encoding == {"scale_factor": 0.1, "dtype": "int16"}


@pytest.mark.parametrize(
    ("frames", "words"),
    [
        ([np.zeros((4, 4))] * 5, r"is a list; give a numpy array, .* such as numpy.stack\(frames\)"),
        (np.zeros((32, 32)), r"has the shape \(32, 32\); give \(T, H, W\)"),
        (np.zeros((0, 32, 32)), "has the shape"),
        (torch.zeros(2, 3, 4, 32, 32), r"give \(T, H, W\) or \(T, C, H, W\)"),
        (np.zeros((5, 32, 32), complex), "holds values of the type complex128"),
        (np.zeros((1, 32, 32)), "a single frame shows no motion"),
        (np.zeros((5, 32, 32, 2)), "has 2 channels"),
        (xarray.DataArray(np.zeros((5, 32, 32)), dims=("a", "b", "c")), "rename them to time, y, x"),
        (labelled().expand_dims({"member": 2}), "take one of several sequences with isel"),
        (labelled().to_dataset(), "is a Dataset"),
    ],
)
def test_other_things_are_refused(run: Run, frames: Any, words: str) -> None:
    with pytest.raises(InputError, match=f"^frames: .*{words}"):
        forecast(frames, run)


def test_options_that_do_not_fit_are_refused(run: Run, tmp_path: Path) -> None:
    trained = Run.open(run.folder)
    trained.config["data"]["values"] = vars(ValueRange(0.0, 60.0, "mm/h"))
    for options, flag in (({"range": (0, 10)}, "--range"), ({"log": True}, "--log")):
        with pytest.raises(UsageError, match=f"{flag}: .* was trained on values 0 to 60 mm/h; leave {flag} out"):
            forecast(rain(), trained, **options)
    with pytest.raises(RunError, match="is not a run folder"):
        forecast(rain(), tmp_path / "nothing")
    with pytest.raises(UsageError, match="--frames is 0"):
        forecast(rain(), run, horizon=0)


def test_what_is_worth_knowing_is_noted(run: Run) -> None:
    notes = Notes()
    forecast(rain(steps=3), run, progress=notes)
    assert any("frames: gives the model 3 frames and it was trained on 4" in note for note in notes.notes)


def test_the_example_of_the_manual_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    [example] = re.findall(r"```python\n(import numpy.*?convlstm_cli\.forecast.*?)```", MANUAL, re.DOTALL)
    names: dict[str, Any] = {}
    exec(example, names)
    assert names["following"].shape == (5, 48, 64)
    assert names["ahead"].time.values[0] == np.datetime64("2024-05-01T12:40")
    assert names["ahead"].attrs == {"units": "mm/h"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"horizon": 2.5}, "horizon is 2.5; give a whole number"),
        ({"range": 3}, "range is 3; give a tuple of numbers"),
        ({"range": (0, 1, 2)}, "range is (0, 1, 2); give two numbers"),
        ({"model": 3}, "model is 3; give a text"),
        ({"members": 2.5}, "members is 2.5"),
        ({"missing": "none"}, "missing is 'none'"),
    ],
)
def test_an_argument_of_another_type_is_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=rf"^{re.escape(words)}"):
        forecast(np.zeros((10, 16, 16), np.uint8), **options)


def test_a_device_of_torch_is_a_device() -> None:
    assert forecast(np.zeros((4, 16, 16), np.uint8), horizon=1, device=torch.device("cpu")).shape == (1, 16, 16)  # type: ignore[arg-type]
