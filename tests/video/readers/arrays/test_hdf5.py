import contextlib
import math
import sys
from datetime import datetime
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from video_helpers import few, frames_by, kept_type, read

from convlstm_cli.errors import DependencyError, InputError
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import index
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.arrays.hdf5 import Hdf5File
from convlstm_cli.video.search import find_videos

Values = npt.NDArray[np.generic]


def native(path: str | Path) -> list[Values]:
    return [frame.pixels for frame in frames_by(Path(path), Hdf5File)]


def scene(frames: int = 6, height: int = 9, width: int = 8) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 250, (frames, height, width), np.uint8)


@few
@given(st.sampled_from(["?", "B", "b", "h", "i", ">H", "H", "e", "f", ">f", "d"]), st.booleans(), st.integers(0, 99))
def test_every_type_comes_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, kind: str, packed: bool, seed: int
) -> None:
    path = tmp_path_factory.mktemp("hdf5") / "a.h5"
    video = np.random.default_rng(seed).normal(0, 50, (7, 5, 6, 3)).astype(kind)
    with h5py.File(path, "w") as file:
        file.create_dataset("deep/inside", data=video, compression="gzip" if packed else None)
    frames = native(path)
    np.testing.assert_array_equal(frames, video)
    assert frames[0].dtype == kept_type(np.dtype(kind))


def test_the_largest_dataset_is_read_or_the_named_one(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["lat"] = np.zeros((9, 8))
        file["small/frames"] = scene(4)
        file["large/frames"] = scene(6)
        file["names"] = np.array([b"x"])
    with open_video(path) as video:
        assert video.notes == ["large/frames is read, the largest of 2 arrays; name another as 'FILE::small/frames'"]
        np.testing.assert_array_equal(list(video), scene(6)[..., None])
    np.testing.assert_array_equal(read(Path(f"{path}::small/frames")), scene(4)[..., None])
    assert [video.path for video in find_videos([f"{path}::/small/frames"]).videos] == [Path(f"{path}::/small/frames")]
    with pytest.raises(InputError, match=r"holds no 'other'; it holds large/frames \(6, 9, 8\)"):
        open_video(f"{path}::other")


def test_measured_values_are_read_before_qualities(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["quality"] = scene(4)
        file["rain"] = scene(4)
        file["rain"].attrs["units"] = np.bytes_(b"mm/h")
    with open_video(tmp_path / "a.h5") as video:
        assert video.unit == "mm/h"


def test_dimension_scales_name_the_axes(tmp_path: Path) -> None:
    video = np.random.default_rng(0).integers(0, 256, (8, 9, 8), np.uint8)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = video
        for axis, name in enumerate(("y", "x", "time")):
            file["v"].dims[axis].label = name
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), video.transpose(2, 0, 1)[..., None])


def test_a_time_scale_gives_times(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = scene(3)
        for axis, (name, size) in enumerate({"time": 3, "y": 9, "x": 8}.items()):
            file[name] = np.arange(size) * 10.0
            file[name].make_scale(name)
            file["v"].dims[axis].attach_scale(file[name])
        file["time"].attrs["units"] = b"minutes since 2024-05-01 12:00"
    with open_video(tmp_path / "a.h5") as video:
        assert (len(list(video)), video.time, video.start) == (3, 1200.0, datetime(2024, 5, 1, 12))


def test_scale_offset_and_gaps(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    raw = scene().astype(np.int16)
    raw[:, 0, 0], raw[:, 0, 1] = -1, -2
    attributes = {"_FillValue": np.int16(-1), "missing_value": np.array([-2, -1], np.int16), "units": b"mm/h"}
    with h5py.File(path, "w") as file:
        file["plain"] = raw
        file["packed"] = raw
        file["plain"].attrs.update(attributes | {"valid_range": np.array([0, 250], np.int16)})
        file["packed"].attrs.update(attributes | {"scale_factor": 0.5, "add_offset": -10.0, "valid_max": 250.0})
    with contextlib.closing(Hdf5File(path, path)) as opened:
        plain, packed = opened.stored("plain"), opened.stored("packed")
        assert (plain.unit, plain.missing, plain.declared_range) == ("mm/h", -1.0, (0.0, 250.0))
        assert (packed.unit, packed.missing, packed.declared_range) == ("mm/h", None, None)
    whole, scaled = native(f"{path}::plain"), native(f"{path}::packed")
    assert whole[0].dtype == np.int16
    np.testing.assert_array_equal(np.stack(whole)[..., 0], np.where(raw == -2, -1, raw))
    assert scaled[0].dtype == np.float32
    expected = np.where(raw < 0, math.nan, raw * 0.5 - 10)
    np.testing.assert_array_equal(np.stack(scaled)[..., 0], expected.astype(np.float32))


def radar(path: Path, raw: Values) -> None:
    with h5py.File(path, "w") as file:
        image = file.create_group("image1")
        image["image_data"] = raw
        image.attrs["image_geo_parameter"] = np.bytes_("ACCUMULATED_PRECIPITATION_[MM]")
        calibration = image.create_group("calibration").attrs
        calibration["calibration_formulas"] = np.bytes_("GEO=0.010000*PV+-0.000000")
        calibration["calibration_missing_data"] = np.array([65535], np.int32)


def test_a_folder_of_radar_files_is_one_video_by_the_dates_in_its_names(tmp_path: Path) -> None:
    raw = scene(12).astype(np.uint16)
    for number in range(12):
        radar(tmp_path / f"RAD_202405012{number // 6}{number % 6}0.h5", raw[number])
    (found,) = find_videos([tmp_path]).videos
    assert found.path == tmp_path
    raw[0, 0, 0] = 65535
    radar(tmp_path / "RAD_202405012000.h5", raw[0])
    (first,) = native(tmp_path / "RAD_202405012000.h5")
    assert math.isnan(first[0, 0, 0])
    np.testing.assert_allclose(first.astype(np.float64).ravel()[1:], raw[0].ravel()[1:] / 100, rtol=1e-6)
    with contextlib.closing(Hdf5File(tmp_path / "RAD_202405012000.h5", tmp_path / "RAD_202405012000.h5")) as opened:
        assert opened.stored("image1/image_data").unit == "mm"
    radar(tmp_path / "RAD_202405012000.h5", (raw[0] % 100).astype(np.uint16))
    with open_video(tmp_path) as video:
        assert (video.unit, video.declared_frames) == ("mm", 12)


def test_datasets_of_one_frame_each_are_one_video(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        for number, frame in enumerate(scene(12)):
            file[f"image{number}/data"] = frame
    np.testing.assert_array_equal(read(tmp_path / "a.h5"), scene(12)[..., None])
    np.testing.assert_array_equal(read(Path(f"{tmp_path / 'a.h5'}::image10/data")), scene(12)[10:11, ..., None])


def test_odim_quantities(tmp_path: Path) -> None:
    raw = scene(1)[0]
    raw[0, 0], raw[0, 1] = 255, 0
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.attrs["Conventions"] = "ODIM_H5/V2_4"
        for number in (1, 2):
            file[f"dataset{number}/data1/data"] = raw
            file.create_group(f"dataset{number}/data1/what").attrs.update(
                {"gain": 0.5, "offset": -32.0, "nodata": 255.0, "undetect": 0.0, "quantity": np.bytes_("DBZH")}
            )
    (frame,) = native(tmp_path / "a.h5")
    assert math.isnan(frame[0, 0, 0])
    assert frame[0, 1, 0] == -32
    np.testing.assert_array_equal(frame[1:, :, 0], raw[1:] * 0.5 - 32)
    with contextlib.closing(Hdf5File(tmp_path / "a.h5", tmp_path / "a.h5")) as opened:
        assert opened.stored("dataset1/data1/data").unit == "dBZ"


@pytest.mark.parametrize(
    ("attributes", "message"),
    [({"scale_factor": "half"}, "no number"), ({"scale_factor": 0.0}, "scaled by 0"), ({"_FillValue": b"x"}, "no num")],
)
def test_wrong_attributes_are_named(tmp_path: Path, attributes: dict[str, object], message: str) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = scene()
        file["v"].attrs.update(attributes)
    with pytest.raises(InputError, match=rf"a\.h5: v: .*{message}"):
        open_video(tmp_path / "a.h5")


def test_infinite_values_stay_and_are_missing(tmp_path: Path) -> None:
    video = np.zeros((4, 6, 6), np.float32)
    video[2, 1, 1] = math.inf
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = video
    np.testing.assert_array_equal(np.stack(read(tmp_path / "a.h5"))[..., 0], video)


@pytest.mark.parametrize("kept", [0.02, 0.3, 0.7, 0.99])
def test_what_is_cut_off_is_named(tmp_path: Path, kept: float) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=scene(40, 40, 40), compression="gzip", chunks=(1, 40, 40))
    path.write_bytes(path.read_bytes()[: int(kept * path.stat().st_size)])
    with pytest.raises(InputError, match=r"a\.h5: .*cut off"):
        read(path)


def test_damaged_chunks_are_named(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("v", data=scene(40, 40, 40), compression="gzip", chunks=(1, 40, 40))
        offset = file["v"].id.get_chunk_info(30).byte_offset
    content = bytearray(path.read_bytes())
    content[offset : offset + 200] = bytes(200)
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"a\.h5: cannot be read at frame \d+ .*damaged"):
        read(path)


def test_without_the_library_one_line_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = scene()
    np.save(tmp_path / "b.npy", scene())
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(DependencyError, match=r"a\.h5: is read by h5py.*`pip install 'convlstm\[hdf5\]'`"):
        open_video(tmp_path / "a.h5")
    library = index([tmp_path], FrameGeometry(16, 16), cache_dir=tmp_path / "cache")
    assert [video.name for video in library.videos] == ["b.npy"]
    assert "convlstm[hdf5]" in library.problems[0].reason


def test_memory_stays_flat(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("v", (100_000, 512, 512), "f4", chunks=(16, 512, 512))  # 105 GB, none of it written
    with open_video(tmp_path / "a.h5") as video:
        assert video.declared_frames == 100_000
        assert [next(video).sum() for _ in range(40)] == [0] * 40


def test_a_forecast_takes_on_numbers_and_texts_of_attributes(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["v"] = np.zeros((5, 9, 8), np.uint8)
        file["v"].attrs.update({"units": np.bytes_("dBZ"), "_FillValue": np.uint8(255), "elsewhere": file["v"].ref})
        file["v"].attrs["nothing"] = h5py.Empty("f4")
        file.attrs["title"] = "radar"
    with open_video(tmp_path / "a.h5") as video:
        facts = video.facts()
    assert (facts.format, facts.name, facts.dtype) == ("hdf5", "v", "uint8")
    assert facts.attributes == {"units": "dBZ", "_FillValue": 255}
    assert facts.file_attributes == {"title": "radar"}
