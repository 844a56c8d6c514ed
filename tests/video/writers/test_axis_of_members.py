"""All members of a forecast in one file, along an axis of their own."""

from datetime import datetime
from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.packing import Packing
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.source import Placement, SourceFacts, Variable, member_dim
from convlstm_cli.video.writers import open_writer

xarray = pytest.importorskip("xarray")
STACKED = [each.name for each in OUTPUT_FORMATS.values() if each.stacks_members]
FACTS = SourceFacts(
    name="rain",
    dtype="int16",
    packing=Packing("mm/h", scale=0.1, missing=(-1.0,)),
    axes="WTH",
    dims=("lon", "time", "lat"),
    size=(4, 6),
    attributes={"units": "mm/h", "scale_factor": 0.1, "_FillValue": np.int16(-1)},
    variables=(Variable("lat", ("lat",), np.arange(4.0)), Variable("lon", ("lon",), np.arange(6.0))),
)
MEMBERS = np.random.default_rng(0).integers(0, 300, (3, 2, 4, 6, 1)).astype(np.float32) / 10


def written(folder: Path, name: str, facts: SourceFacts = FACTS) -> Path:
    """A file of three members of two frames each."""
    path = folder / f"members{OUTPUT_FORMATS[name].suffix}"
    placement = Placement(facts, 2, (300.0, 600.0), datetime(2024, 5, 1), members=3, unit="mm/h")
    with open_writer(path, name, 10.0, placement=placement) as writer:
        for frame in MEMBERS.reshape(6, 4, 6, 1):
            writer.write(frame)
    return path


@pytest.mark.parametrize("name", ["netcdf", "hdf5", "zarr"])
def test_members_are_a_dimension_with_their_numbers(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    engine = {"zarr": "zarr"}.get(name, "netcdf4")
    with xarray.open_dataset(path, engine=engine) as data:
        rain = data.rain.load()
    assert rain.dims == ("member", "lon", "time", "lat")
    assert rain.member.values.tolist() == [1, 2, 3]
    assert rain.member.attrs["standard_name"] == "realization"
    assert rain.time.values.tolist() == np.array(["2024-05-01T00:05", "2024-05-01T00:10"], "M8[ns]").tolist()
    np.testing.assert_allclose(rain.transpose("member", "time", "lat", "lon"), MEMBERS[..., 0], atol=1e-6)


@pytest.mark.parametrize("name", STACKED)
def test_a_member_is_read_as_one_of_several_videos(name: str, tmp_path: Path) -> None:
    path = written(tmp_path, name)
    axes = "" if name in ("netcdf", "hdf5", "zarr") else "::axes=NTHW"
    with open_video(Path(f"{path}{axes}::2")) as video:
        frames = np.stack(list(video))
    np.testing.assert_allclose(frames, MEMBERS[2], atol=1e-6)


@pytest.mark.parametrize("name", ["npy", "npz"])
def test_arrays_have_members_first(name: str, tmp_path: Path) -> None:
    found = np.load(written(tmp_path, name))
    if name == "npz":
        assert found["time"].shape == (2,)
        found = found["rain"]
    np.testing.assert_array_equal(found, MEMBERS[..., 0])


def test_the_axis_has_a_name_that_the_source_has_not() -> None:
    assert member_dim(("time", "y", "x")) == "member"
    assert member_dim(("member", "time", "y", "x")) == "realization"
