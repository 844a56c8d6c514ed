"""Channels by name: of bands, and of the arrays of a file."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import tifffile
import zarr
from numpy.typing import NDArray

from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.video.config import DataConfig, parse_channels
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.tiff_facts import tiff_facts

RANDOM = np.random.default_rng(0)
VIS, IR = RANDOM.normal(size=(2, 4, 6, 7)).astype(np.float32)
HEIGHT = RANDOM.integers(0, 3000, (6, 7)).astype(np.int16)


def read(path: Path, *channels: int | str) -> NDArray[np.generic]:
    with open_video(path) as video:
        video.select(channels)
        return np.stack(list(video))


def bands(path: Path, kind: Any, *names: Any) -> Path:
    with netCDF4.Dataset(path, "w") as file:
        for name, size in {"time": 4, "band": 2, "y": 6, "x": 7}.items():
            file.createDimension(name, size)
        band = file.createVariable("band", kind, ("band",))
        for at, name in enumerate(names):
            band[at] = name
        file.createVariable("radiance", "f4", ("time", "band", "y", "x"))[:] = np.stack((VIS, IR), axis=1)
    return path


def variables(path: Path) -> Path:
    with netCDF4.Dataset(path, "w") as file:
        for name, size in {"time": 4, "y": 6, "x": 7}.items():
            file.createDimension(name, size)
        for name, values, unit in (("vis", VIS, "1"), ("ir", IR, "K")):
            variable = file.createVariable(name, "f4", ("time", "y", "x"))
            variable.units = unit
            variable[:] = values
        height = file.createVariable("height", "i2", ("y", "x"), fill_value=-1)
        height.units = "m"
        height[:] = np.where(np.eye(6, 7) > 0, -1, HEIGHT)
    return path


def arrays(path: Path) -> Path:
    np.savez(path, vis=VIS, ir=IR, height=HEIGHT)
    return path


def store(path: Path) -> Path:
    group = zarr.open_group(str(path), mode="w")
    for name, values in (("vis", VIS), ("ir", IR), ("height", HEIGHT)):
        group.create_array(name, data=values)
    return path


def test_bands_have_the_names_of_their_coordinate(tmp_path: Path) -> None:
    path = bands(tmp_path / "a.nc", str, "vis", "ir")
    np.testing.assert_array_equal(read(path, "ir")[..., 0], IR)
    np.testing.assert_array_equal(read(path, "ir", 0), np.stack((IR, VIS), axis=-1))
    with pytest.raises(
        InputError, match=r"asks for nir, and it has the channels 0 to 1, named vis, ir, and the arrays"
    ):
        read(path, "vis", "nir")
    np.testing.assert_array_equal(read(bands(tmp_path / "b.nc", "f8", 0.6, 10.8), "10.8")[..., 0], IR)


@pytest.mark.parametrize(("suffix", "make"), [("nc", variables), ("npz", arrays), ("zarr", store)])
def test_arrays_of_a_file_are_channels_and_those_of_one_frame_stay(
    tmp_path: Path, suffix: str, make: Callable[[Path], Path]
) -> None:
    path = make(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read(path, "ir", "vis"), np.stack((IR, VIS), axis=-1))
    found = read(path, "vis", "height")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found[..., 0], VIS)
    height = np.where(np.eye(6, 7) > 0, np.nan, HEIGHT) if suffix == "nc" else HEIGHT
    np.testing.assert_array_equal(found[..., 1], np.broadcast_to(height, VIS.shape))
    alone = read(path, "height")
    assert alone.dtype == np.int16
    assert alone.shape == (4, 6, 7, 1)
    with pytest.raises(
        InputError, match=r"asks for nir, and it has channel 0 alone and the arrays .*vis.*; name some of these"
    ):
        read(path, "vis", "nir")


def test_arrays_keep_what_they_declare(tmp_path: Path) -> None:
    path = variables(tmp_path / "a.nc")
    declared = {}
    for names in (("ir",), ("vis", "ir"), ("height",), ("vis",)):
        with open_video(path) as video:
            video.select(names)
            declared[names] = video.unit, video.missing, video.facts().channel_names
    assert declared == {
        ("ir",): ("K", None, ()),
        ("vis", "ir"): ("", None, ()),
        ("height",): ("m", -1, ()),
        ("vis",): ("1", None, ()),
    }


def test_arrays_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", vis=VIS, short=IR[:2], narrow=IR[:, :, :6])
    with pytest.raises(InputError, match=r"ends before frame 3 .* leave short out"):
        read(tmp_path / "a.npz", "vis", "short")
    with pytest.raises(InputError, match=r"frames of 6x6 .* leave narrow out"):
        read(tmp_path / "a.npz", "vis", "narrow")


def test_bands_of_tiffs_have_the_names_that_gdal_and_ome_write(tmp_path: Path) -> None:
    stack = np.stack((VIS, IR), axis=1)
    tifffile.imwrite(tmp_path / "a.ome.tif", stack, metadata={"axes": "TCYX", "Channel": {"Name": ["vis", "ir"]}})
    np.testing.assert_array_equal(read(tmp_path / "a.ome.tif", "ir")[..., 0], IR)
    items = "".join(
        f'<Item name="DESCRIPTION" sample="{at}" role="description">{name}</Item>'
        for at, name in enumerate(("a&amp;b", "ir"))
    )
    described = (42112, 2, 0, f"<GDALMetadata>{items}</GDALMetadata>", True)
    tifffile.imwrite(tmp_path / "b.tif", HEIGHT, extratags=[described])
    assert tiff_facts(tmp_path / "b.tif").names == ("a&b", "ir")


def test_channels_are_positions_and_names() -> None:
    assert parse_channels("--channels", "0, ir,10.8") == (0, "ir", "10.8")
    for wrong in ("-1", "a,a", "a,,b"):
        with pytest.raises(UsageError, match="different names, or positions"):
            DataConfig(("videos",), channels=parse_channels("--channels", wrong))
