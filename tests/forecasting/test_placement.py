"""What a forecast takes on from its source: the format of its kind, coordinates, times, unit."""

import importlib
import zipfile
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from prediction import Notes, frames_of, make_run
from typer.testing import CliRunner

from convlstm_cli.cli.app import app
from convlstm_cli.errors import DependencyError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.runs.run import Run
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.writers import open_writer

CONFIG = PredictConfig(at=8, formats=("source",), guard=False)
FRAMES = np.random.default_rng(0).uniform(0, 20, (12, 32, 32)).astype(np.float32)


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """A network that copies the last frame."""
    return make_run(tmp_path / "run")


def forecast(run: Run, source: Path, config: PredictConfig = CONFIG) -> tuple[Path, list[str]]:
    """The folder of a forecast, and the notes about it."""
    [(_, outcome)] = predict([source], run, source.parent / "out", config, notes := Notes())
    assert isinstance(outcome, Forecast), outcome
    return outcome.folder, notes.notes


# As xarray sees it


def dataset(xarray: Any) -> Any:
    """Rain in mm/h every 5 minutes on a grid in metres, without a value outside the radar's reach."""
    times = [datetime(2024, 6, 1, 12) + timedelta(minutes=5 * step) for step in range(12)]
    rain = FRAMES.copy()
    rain[:, :4] = np.nan
    attributes = {"units": "mm/h", "long_name": "rain", "grid_mapping": "crs"}
    y, x = (1000.0 * np.arange(32) + offset for offset in (5e5, 1e6))
    return xarray.Dataset(
        {"rain": (("time", "y", "x"), rain, attributes), "crs": ((), 0, {"grid_mapping_name": "polar_stereographic"})},
        {
            "time": np.array(times, "datetime64[ns]"),
            "y": ("y", y, {"units": "m"}),
            "x": ("x", x, {"units": "m"}),
            "lat": (("y", "x"), np.add.outer(y, x) / 1e5),
        },
        {"title": "made up"},
    )


def as_netcdf(data: Any, folder: Path) -> Path:
    data.to_netcdf(folder / "rain.nc")
    return folder / "rain.nc"


def as_packed(data: Any, folder: Path) -> Path:
    packing = {"dtype": "int16", "scale_factor": 0.01, "add_offset": 5.0, "_FillValue": -32768}
    times = {"dtype": "float64", "units": "days since 1970-01-01"}
    data.to_netcdf(folder / "rain.nc", encoding={"rain": packing, "time": times})
    return folder / "rain.nc"


def as_group(data: Any, folder: Path) -> Path:
    data.to_netcdf(folder / "rain.nc", group="radar")
    return folder / "rain.nc"


def as_zarr(data: Any, folder: Path) -> Path:
    data.to_zarr(folder / "rain.zarr", consolidated=False)
    return folder / "rain.zarr"


def as_zarr_2(data: Any, folder: Path) -> Path:
    data.to_zarr(folder / "rain.zarr", zarr_format=2)
    return folder / "rain.zarr"


@pytest.mark.parametrize("save", [as_netcdf, as_packed, as_group, as_zarr, as_zarr_2])
def test_a_forecast_opens_beside_its_source_and_subtracts(
    save: Callable[[Any, Path], Path], run: Run, tmp_path: Path
) -> None:
    xarray: Any = pytest.importorskip("xarray")
    source = save(dataset(xarray), tmp_path)
    folder, notes = forecast(run, source)
    assert not notes
    options: dict[str, Any] = {"group": "radar"} if save is as_group else {}
    if source.suffix == ".zarr":
        options = {"engine": "zarr", "consolidated": save is as_zarr_2}
    names = {each.name for each in folder.iterdir()}
    assert names == {"forecast.json", f"forecast{source.suffix}", "scored"}
    with (
        xarray.open_dataset(source, **options) as truth,
        xarray.open_dataset(folder / f"forecast{source.suffix}", **options) as made,
    ):
        error = (made.rain - truth.rain).compute()
        assert error.sizes == {"time": 3, "y": 32, "x": 32}  # all leads are known, and every coordinate is the same
        np.testing.assert_array_equal(error.isnull(), np.isnan(dataset(xarray).rain[8:11]))
        np.testing.assert_allclose(made.rain[0, 4:], FRAMES[7, 4:], atol=0.02)
        assert set(made.coords) == set(truth.coords)
        for name in ("y", "x", "lat"):
            xarray.testing.assert_identical(made[name].variable, truth[name].variable)
        assert made.rain.attrs == truth.rain.attrs
        assert made.rain.encoding["dtype"] == truth.rain.encoding["dtype"]
        assert made.crs.attrs == truth.crs.attrs
        assert made.attrs == truth.attrs | ({"Conventions": "CF-1.11"} if source.suffix == ".nc" else {})


def test_frames_of_another_size_leave_out_the_coordinates_and_say_so(run: Run, tmp_path: Path) -> None:
    xarray: Any = pytest.importorskip("xarray")
    wide = dataset(xarray).isel(y=slice(0, 30))
    folder, notes = forecast(run, as_netcdf(wide, tmp_path), PredictConfig(at=8, formats=("source",), size="model"))
    assert any("coordinates hold for its own size" in note for note in notes)
    with xarray.open_dataset(folder / "forecast.nc") as made:
        assert set(made.coords) == {"time"}
        assert made.rain.sizes == {"time": 3, "y": 32, "x": 32}


# The format of the source's own kind


def npy(folder: Path) -> Path:
    np.save(folder / "a.npy", FRAMES)
    return folder / "a.npy"


def npz(folder: Path) -> Path:
    np.savez(folder / "a.npz", rain=FRAMES)
    return folder / "a.npz"


def hdf5(folder: Path) -> Path:
    with pytest.importorskip("h5py").File(folder / "a.h5", "w") as file:
        file["radar/rain"] = FRAMES
        file["radar/rain"].attrs["units"] = "mm/h"
    return folder / "a.h5"


def tiff(folder: Path) -> Path:
    pytest.importorskip("tifffile").imwrite(folder / "a.tif", FRAMES.astype(np.uint16), metadata=None)
    return folder / "a.tif"


def geotiff(folder: Path) -> Path:
    images = folder / "a"
    images.mkdir()
    tags = [(33550, 12, 3, (1000.0, 1000.0, 0.0), True), (33922, 12, 6, (0.0, 0.0, 0.0, 5e5, 6e6, 0.0), True)]
    for number, frame in enumerate(FRAMES):
        name = images / f"rain_20240601T12{5 * number:02d}.tif"
        pytest.importorskip("tifffile").imwrite(name, frame, metadata=None, extratags=tags)
    return images


def images(folder: Path) -> Path:
    (folder / "a").mkdir()
    for number, frame in enumerate(FRAMES):
        cv2.imwrite(str(folder / "a" / f"{number:03d}.png"), (frame * 3000).astype(np.uint16))
    return folder / "a"


def video(folder: Path) -> Path:
    with open_writer(folder / "a.mp4", "mp4", 10) as writer:
        for frame in FRAMES:
            writer.write((frame * 12).astype(np.uint8)[..., None])
    return folder / "a.mp4"


OWN: dict[Callable[[Path], Path], str] = {
    npy: "forecast.npy", npz: "forecast.npz", hdf5: "forecast.h5", tiff: "forecast.tif", geotiff: "geotiff",
    images: "frame_000001.png", video: "forecast.webm",
}  # fmt: skip


@pytest.mark.parametrize("save", OWN)
def test_the_default_of_a_source_is_its_own_kind(save: Callable[[Path], Path], run: Run, tmp_path: Path) -> None:
    source = save(tmp_path)
    folder, notes = forecast(run, source)
    assert not notes
    assert (folder / OWN[save]).exists()
    assert len({each.suffix or each.name for each in folder.iterdir()} - {".json", "scored"}) == 1
    if save is not video:
        path = folder if save is images else folder / OWN[save]
        assert frames_of(path).dtype == frames_of(source).dtype
        np.testing.assert_allclose(frames_of(path)[0].astype(float), frames_of(source)[7].astype(float), rtol=0.05)
    assert forecast(run, source)[1] == []  # kept


def test_an_archive_has_the_times_and_the_unit(run: Run, tmp_path: Path) -> None:
    folder, _ = forecast(run, geotiff(tmp_path), PredictConfig(at=8, formats=("npz", "geotiff"), names="time"))
    with np.load(folder / "forecast.npz") as made:
        assert made["time"].tolist() == [datetime(2024, 6, 1, 12, 5 * step) for step in (8, 9, 10)]
        assert (sorted(made), made["frames"].dtype) == (["frames", "time"], np.float32)
    with zipfile.ZipFile(folder / "forecast.npz") as archive:
        assert {each.date_time[0] for each in archive.infolist()} == {1980}
    assert min(each.name for each in (folder / "geotiff").iterdir()) == "20240601T1240.tif"


# Libraries that are missing


@pytest.fixture
def without_tifffile(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(module: str, extra: str, source: object, _: str = "read") -> Any:
        if module == "tifffile":
            raise DependencyError(f"{source}: install it with `pip install 'convlstm[{extra}]'`.")
        return importlib.import_module(module)

    monkeypatch.setattr("convlstm_cli.video.formats.load_extra", refuse)


@pytest.mark.usefixtures("without_tifffile")
def test_a_missing_library_is_named_before_anything_is_computed(run: Run, tmp_path: Path) -> None:
    with pytest.raises(DependencyError, match=r"--format tiff: .*convlstm\[tiff\]"):
        list(predict([npy(tmp_path)], run, tmp_path / "out", PredictConfig(formats=("png", "tiff"))))
    command = ["predict", str(tmp_path / "a.npy"), "-m", str(run.folder), "-o", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [*command, "--format", "tiff"])
    assert (done.exit_code, "convlstm[tiff]" in done.stderr) == (1, True)
    assert not (tmp_path / "out").exists()


@pytest.mark.usefixtures("without_tifffile")
def test_a_source_whose_own_format_cannot_be_written_is_an_array(run: Run, tmp_path: Path) -> None:
    folder, notes = forecast(run, tiff(tmp_path))
    assert any("forecast as npy and not as tiff" in note and "convlstm[tiff]" in note for note in notes)
    assert (folder / "forecast.npy").exists()


def test_every_format_is_written_at_once(run: Run, tmp_path: Path) -> None:
    config = PredictConfig(at=8, formats=(*OUTPUT_FORMATS, "source"), guard=False)
    folder, _ = forecast(run, npy(tmp_path), config)
    for kind in ("npy", "npz", "tiff", "netcdf", "zarr", "hdf5"):
        made = frames_of(folder / f"forecast{OUTPUT_FORMATS[kind].suffix}")
        np.testing.assert_array_equal(made, frames_of(folder / "forecast.npy"), err_msg=kind)
    beside = sorted(each.suffix for each in (folder / "scored").iterdir())
    assert beside == [".gif", ".mkv", ".mp4", ".npy", ".png", ".webm"]
