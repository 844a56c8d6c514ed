import json
import math
import sys
import warnings
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from video_helpers import few, frames_by, kept_type, read

from convlstm_cli.errors import DependencyError, InputError
from convlstm_cli.video.cache import fingerprint_of
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.arrays.zarr_store import ZarrStore
from convlstm_cli.video.search import find_videos


@few
@given(st.sampled_from(["bool", "u1", "i2", "u2", "i4", "f2", "f4", ">f4", "f8"]), st.sampled_from([2, 3]))
def test_every_type_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, kind: str, version: Literal[2, 3]
) -> None:
    path = tmp_path_factory.mktemp("zarr") / "a.zarr"
    values = np.random.default_rng(0).normal(0, 40, (7, 9, 6)).astype(kind)
    array = zarr.create_array(str(path), shape=values.shape, chunks=(3, 4, 4), dtype=values.dtype, zarr_format=version)
    array[:] = values
    frames = [frame.pixels for frame in frames_by(path, ZarrStore)]
    np.testing.assert_array_equal(np.stack(frames)[..., 0], values)
    assert frames[0].dtype == kept_type(np.dtype(kind))


def test_a_store_is_one_video_with_times_and_a_unit(tmp_path: Path) -> None:
    values = np.random.default_rng(0).random((4, 9, 6)).astype(np.float32)
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    dims = ("time", "y", "x")
    rain = group.create_array("rain", shape=(4, 9, 6), dtype="f4", dimension_names=dims)
    rain[:] = values
    rain.attrs.update({"units": "mm/h", "_FillValue": "AAAAAADAWMA="})  # -99.0, as xarray writes it
    time = group.create_array("time", shape=(4,), dtype="i8", dimension_names=("time",))
    time[:] = [0, 5, 10, 15]
    time.attrs["units"] = "minutes since 2024-05-01"
    assert [video.name for video in find_videos([tmp_path]).videos] == ["a.zarr"]
    with open_video(tmp_path / "a.zarr") as video:
        assert (video.kind, video.unit, len(list(video)), video.time) == ("zarr", "mm/h", 4, 900.0)
    before = fingerprint_of(tmp_path / "a.zarr")
    rain[0, 0, 0] = -99
    assert fingerprint_of(tmp_path / "a.zarr") != before
    first, *_ = frames_by(tmp_path / "a.zarr", ZarrStore)
    assert math.isnan(first.pixels[0, 0, 0])


def test_measured_values_are_read_before_qualities(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    for name in ("quality", "rain"):
        group.create_array(name, shape=(4, 9, 6), dtype="i2", dimension_names=("time", "y", "x"))
    group["rain"].attrs["units"] = "mm/h"
    with open_video(tmp_path / "a.zarr") as video:
        assert video.unit == "mm/h"


def test_text_beside_the_frames_is_read_without_a_warning(tmp_path: Path) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    dims = ("time", "band", "y", "x")
    group.create_array("rain", shape=(4, 2, 9, 6), dtype="f4", dimension_names=dims)
    with pytest.warns(Warning, match="does not have a Zarr V3 specification"):
        group.create_array("band", shape=(2,), dtype="U4", dimension_names=("band",))[:] = ["rain", "wind"]
    with warnings.catch_warnings(), open_video(tmp_path / "a.zarr") as video:
        warnings.simplefilter("error")
        assert video.facts().channel_names == ("rain", "wind")


def test_sequences_of_a_store_are_parts_of_it(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 99, (9, 12, 8, 8), np.uint8)
    zarr.create_array(str(tmp_path / "a.zarr"), shape=values.shape, dtype="u1")[:] = values
    found = find_videos([tmp_path / "a.zarr"]).videos
    assert [video.name for video in found] == [f"a.zarr::{number}" for number in range(12)]
    np.testing.assert_array_equal(read(found[5].path), values[:, 5, ..., None])


@pytest.mark.parametrize("part", ["filters", "compressor"])
def test_no_pickle_is_loaded(tmp_path: Path, part: str) -> None:
    array = zarr.create_array(str(tmp_path / "a.zarr"), shape=(4, 9, 6), dtype="u1", zarr_format=2, compressors=None)
    array[:] = 1
    metadata = tmp_path / "a.zarr" / ".zarray"
    content = json.loads(metadata.read_text())
    content[part] = [{"id": "pickle"}] if part == "filters" else {"id": "pickle"}
    metadata.write_text(json.dumps(content))
    with pytest.raises(InputError, match=r"Python pickles|not a zarr store"):
        open_video(tmp_path / "a.zarr")


def test_damage_is_named(tmp_path: Path) -> None:
    path = tmp_path / "a.zarr"
    zarr.create_array(str(path), shape=(4, 9, 6), chunks=(1, 9, 6), dtype="u1")[:] = 1
    (path / "c" / "2" / "0" / "0").write_bytes(b"x")
    with pytest.raises(InputError, match=r"a\.zarr: cannot be read at frame \d.*damaged"):
        read(path)
    (path / "zarr.json").write_text("{}")
    with pytest.raises(InputError, match=r"a\.zarr: is damaged or not a zarr store"):
        open_video(path)


def test_without_the_library_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), shape=(4, 9, 6), dtype="u1")
    monkeypatch.setitem(sys.modules, "zarr", None)
    with pytest.raises(DependencyError, match=r"a\.zarr: is read by zarr.*`pip install 'convlstm\[zarr\]'`"):
        open_video(tmp_path / "a.zarr")
