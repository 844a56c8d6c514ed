import contextlib
import gzip
import math
import sys
from datetime import datetime
from pathlib import Path
from typing import Any, Literal, get_args

import netCDF4
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_helpers import few, frames_by, kept_type, read

from convlstm_cli.errors import DependencyError, InputError
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.arrays.netcdf import NetcdfFile

Model = Literal["NETCDF4", "NETCDF3_CLASSIC", "NETCDF3_64BIT_DATA"]
FORMATS: tuple[Model, ...] = get_args(Model)


def rain(
    path: Path, values: npt.NDArray[np.generic], kind: Any = "f4", model: Model = "NETCDF4", **attributes: Any
) -> Path:
    """A file of (time, y, x) every ten minutes from noon of 1 May 2024."""
    with netCDF4.Dataset(path, "w", format=model) as file:
        for name, size in zip(("time", "y", "x"), values.shape, strict=True):
            file.createDimension(name, size)
        time = file.createVariable("time", "f8", ("time",))
        time.units = "minutes since 2024-05-01 12:00"
        time[:] = 10.0 * np.arange(len(values))
        fill = attributes.pop("_FillValue", None)
        variable = file.createVariable("rain", kind, ("time", "y", "x"), fill_value=fill)
        variable.set_auto_maskandscale(False)
        variable.setncatts(attributes)
        variable[:] = values
    return path


@few
@given(st.sampled_from(["i1", "i2", "i4", "f4", "f8"]), st.sampled_from(FORMATS), st.integers(0, 99))
def test_every_type_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, kind: str, model: Model, seed: int
) -> None:
    values = np.random.default_rng(seed).normal(0, 40, (5, 7, 6)).astype(kind)
    path = rain(tmp_path_factory.mktemp("netcdf") / "a.nc", values, kind, model, units="mm/h")
    frames = list(frames_by(path, NetcdfFile))
    np.testing.assert_array_equal([frame.pixels[..., 0] for frame in frames], values)
    assert frames[0].pixels.dtype == kept_type(np.dtype(kind))
    assert [frame.time for frame in frames] == [0, 600, 1200, 1800, 2400]


def test_units_times_gaps_and_scales(tmp_path: Path) -> None:
    raw = np.random.default_rng(0).integers(0, 99, (4, 6, 7), np.int16)
    raw[:, 0, 0] = -1
    path = rain(tmp_path / "a.nc", raw, "i2", scale_factor=0.01, _FillValue=np.int16(-1), units="mm/h")
    frames = [frame.pixels for frame in frames_by(path, NetcdfFile)]
    assert frames[0].dtype == np.float32
    np.testing.assert_allclose(np.stack(frames)[:, 1:, :, 0], raw[:, 1:] * 0.01, rtol=1e-6)
    assert all(math.isnan(frame[0, 0, 0]) for frame in frames)
    rain(path, raw % 100, "i2", scale_factor=0.01, units="mm/h")
    with open_video(path) as video:
        assert (video.unit, video.missing, video.start) == ("mm/h", None, datetime(2024, 5, 1, 12))
        assert len(list(video)) == 4
        assert video.time == 1800


def test_axes_go_by_their_names_and_attributes(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 99, (8, 6, 3), np.uint8)
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        for name, size, axis in (("north", 8, "Y"), ("cross", 6, "X"), ("moment", 3, "T")):
            file.createDimension(name, size)
            file.createVariable(name, "f8", (name,)).axis = axis
        group = file.createGroup("inner")
        group.createVariable("v", "u1", ("north", "cross", "moment"))[:] = values
        file["moment"].units = "hours since 2024-05-01"
        file["moment"][:] = [3, 1, 2]
    with open_video(tmp_path / "a.nc") as video:
        np.testing.assert_array_equal(list(video), values.transpose(2, 0, 1)[[1, 2, 0], ..., None])
        assert (video.time, video.start) == (7200, datetime(2024, 5, 1, 1))
    assert len(read(Path(f"{tmp_path / 'a.nc'}::inner/v"))) == 3


@pytest.mark.parametrize("model", FORMATS)
@pytest.mark.parametrize("kept", [0.0005, 0.02, 0.6, 0.98])
def test_what_is_cut_off_is_named(tmp_path: Path, model: Model, kept: float) -> None:
    path = rain(tmp_path / "a.nc", np.random.default_rng(0).random((40, 30, 30)), model=model)
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=r"a\.nc: (.*cut off|it holds no array)"):
        read(path)


def test_without_the_library_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rain(tmp_path / "a.nc", np.zeros((4, 6, 7)))
    monkeypatch.setitem(sys.modules, "netCDF4", None)
    with pytest.raises(DependencyError, match=r"a\.nc: is read by netCDF4.*`pip install 'convlstm\[netcdf\]'`"):
        open_video(tmp_path / "a.nc")


def test_files_are_closed(tmp_path: Path) -> None:
    path = rain(tmp_path / "a.nc", np.zeros((4, 6, 7)))
    with contextlib.closing(NetcdfFile(path, path)) as opened:
        assert opened.shapes == {"rain": (4, 6, 7)}
    with open_video(path) as video:
        next(video)
    path.unlink()
    rain(path, np.ones((4, 6, 7)))
    assert read(path)[0].max() == 1


def test_compressed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONVLSTM_CACHE", str(tmp_path / "cache"))
    values = np.random.default_rng(0).integers(0, 99, (4, 6, 7), np.uint8)
    path = rain(tmp_path / "a.nc", values, "u1")
    (tmp_path / "b.nc.gz").write_bytes(gzip.compress(path.read_bytes()))
    np.testing.assert_array_equal(read(tmp_path / "b.nc.gz"), values[..., None])
    (tmp_path / "c.nc.gz").write_bytes(gzip.compress(path.read_bytes()[:900]))
    with pytest.raises(InputError, match=r"c\.nc\.gz: .*cut off"):
        read(tmp_path / "c.nc.gz")
