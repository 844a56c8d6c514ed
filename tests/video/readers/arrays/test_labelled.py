"""What arrays with named axes say beside their values, which a forecast takes on."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from video_helpers import read

from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.arrays.labelled import measured_first
from convlstm_cli.video.source import Placement
from convlstm_cli.video.writers import open_writer

netCDF4: Any = pytest.importorskip("netCDF4")
SIZES = {"member": 2, "time": 6, "band": 3, "lat": 8, "lon": 9, "nv": 2}
VALUES = np.random.default_rng(0).normal(280, 5, (2, 6, 3, 8, 9)).astype(np.float32)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two members of three named bands, with bounds, in a calendar without leap days."""
    with netCDF4.Dataset(tmp_path / "a.nc", "w") as file:
        for name, size in SIZES.items():
            file.createDimension(name, size)
        for name, kind, dims in (
            ("member", "i4", ("member",)),
            ("time", "f8", ("time",)),
            ("band", str, ("band",)),
            ("lat", "f4", ("lat",)),
            ("lat_bnds", "f4", ("lat", "nv")),
            ("quality", "i1", ("time", "lat", "lon")),
            ("crs", "S1", ()),
            ("tas", "f4", ("member", "time", "band", "lat", "lon")),
        ):
            file.createVariable(name, kind, dims)
        file["time"].setncatts({"units": "days since 2001-02-26", "calendar": "noleap", "bounds": "time_bnds"})
        file["lat"].setncatts({"units": "degrees_north", "bounds": "lat_bnds"})
        file["crs"].grid_mapping_name = "latitude_longitude"
        file["tas"].setncatts({"units": "K", "grid_mapping": "crs", "ancillary_variables": "quality"})
        file["member"][:], file["time"][:], file["lat"][:] = [5, 9], np.arange(6), np.arange(8)
        file["band"][:] = np.array(["low", "mid", "high"], object)
        file["lat_bnds"][:], file["quality"][:], file["tas"][:] = 1, 0, VALUES
        file.title = "made up"
    return tmp_path / "a.nc"


@pytest.fixture
def flagged(tmp_path: Path) -> Path:
    """Flags, the same as fractions, and rain in mm/h, all of one size and in this order."""
    with netCDF4.Dataset(tmp_path / "flagged.nc", "w") as file:
        for name in ("time", "lat", "lon"):
            file.createDimension(name, SIZES[name])
        for name, kind in (("flags", "i1"), ("quality", "f4"), ("rain", "i2")):
            file.createVariable(name, kind, ("time", "lat", "lon"))[:] = 3
        file["quality"].units = "1"
        file["rain"].setncatts({"units": "mm/h", "scale_factor": 0.5})
    return tmp_path / "flagged.nc"


def test_measured_values_are_read_before_flags_and_qualities(flagged: Path) -> None:
    with open_video(flagged) as video:
        assert (video.unit, next(video).max()) == ("mm/h", 1.5)
        assert video.notes == ["rain is read, one of 3 arrays; name another as 'FILE::quality'"]
    with open_video(Path(f"{flagged}::quality")) as video:
        assert (video.unit, video.notes) == ("1", [])


def test_channels_that_are_named_need_no_note_of_the_array_that_was_chosen(flagged: Path) -> None:
    for names in (["flags"], ["rain"]):
        with open_video(flagged) as video:
            video.select(names)
            assert video.notes == []


def test_names_of_arrays_come_with_measured_values_first() -> None:
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "b": ("i1", {}),
        "a": ("f4", {}),
        "z10": ("i2", {"units": b"dBZ"}),
        "z9": ("i2", {"units": "dBZ"}),
    }
    arrays = {name: (np.dtype(kind), attributes) for name, (kind, attributes) in kinds.items()}
    assert measured_first(arrays) == ["z9", "z10", "a", "b"]


def test_what_is_taken_on(source: Path) -> None:
    with open_video(Path(f"{source}::1")) as video:
        video.select([2, 0])
        facts = video.facts()
    assert (facts.format, facts.name, facts.dtype, facts.axes, facts.size) == (
        "netcdf",
        "tas",
        "float32",
        "TCHW",
        (8, 9),
    )
    by_name = {each.name: each for each in facts.variables}
    assert sorted(by_name) == ["band", "crs", "lat", "lat_bnds", "member"]
    assert (by_name["member"].dims, int(by_name["member"].values)) == ((), 9)
    assert by_name["band"].values.tolist() == ["high", "low"]
    assert facts.time is not None
    assert facts.time.unit_seconds == 86400
    assert facts.file_attributes["title"] == "made up"


@pytest.mark.parametrize(("kind", "suffix"), [("netcdf", ".nc"), ("zarr", ".zarr"), ("hdf5", ".h5")])
def test_it_comes_back_in_any_such_format(source: Path, kind: str, suffix: str, tmp_path: Path) -> None:
    with open_video(Path(f"{source}::1")) as video:
        facts, frames = video.facts(), list(video)
    placement = Placement(facts, 2, (6 * 86400.0, 7 * 86400.0), first=6, unit="K")
    with open_writer(tmp_path / f"b{suffix}", kind, 10.0, placement=placement) as writer:
        for frame in frames[:2]:
            writer.write(frame)
    with open_video(tmp_path / f"b{suffix}") as video:
        again = video.facts()
        assert (video.unit, again.axes, again.dims) == ("K", "TCHW", ("time", "band", "lat", "lon"))
    assert again.time is not None
    assert again.time.variable.values.tolist() == [6, 7]
    assert again.time.variable.attributes["calendar"] == "noleap"
    by_name = {each.name: each for each in again.variables}
    assert by_name["band"].values.tolist() == ["low", "mid", "high"]
    np.testing.assert_array_equal(by_name["lat"].values, np.arange(8))
    np.testing.assert_array_equal(read(tmp_path / f"b{suffix}"), frames[:2])


def test_true_and_false_come_back_as_such(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).random((3, 8, 9, 1)) < 0.5
    with open_writer(tmp_path / "a.nc", "netcdf", 10.0) as writer:
        for frame in frames:
            writer.write(frame)
    seen = np.stack(read(tmp_path / "a.nc"))
    assert seen.dtype == bool
    np.testing.assert_array_equal(seen, frames)
