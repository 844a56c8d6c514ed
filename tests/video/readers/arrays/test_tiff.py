import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from video_helpers import few, frames_by, kept_type, read

from convlstm_cli.errors import DependencyError, InputError
from convlstm_cli.video.readers import open_video, reader_of
from convlstm_cli.video.readers.arrays.tiff import TiffStack
from convlstm_cli.video.readers.tiff_tags import read_tags
from convlstm_cli.video.search import find_videos


@few
@given(st.sampled_from(["imagej", "ome", "packed"]), st.sampled_from(["u1", "u2", "f4"]), st.integers(0, 99))
def test_channels_and_planes_come_back_exactly(
    tmp_path_factory: pytest.TempPathFactory, kind: str, dtype: str, seed: int
) -> None:
    path = tmp_path_factory.mktemp("tiff") / "a.tif"
    video = np.random.default_rng(seed).uniform(0, 99, (5, 2, 3, 8, 9)).astype(dtype)  # T, Z, C, Y, X
    compression = "zlib" if kind == "packed" else None
    imagej = kind == "imagej"
    axes = {"axes": "TZCYX", "finterval": 0.5}
    tifffile.imwrite(path, video, imagej=imagej, ome=not imagej, metadata=axes, compression=compression)
    found = [each.name for each in find_videos([path.parent]).videos]
    assert found == ["a.tif::0", "a.tif::1"]
    frames = list(frames_by(Path(f"{path}::1"), TiffStack))
    np.testing.assert_array_equal([frame.pixels for frame in frames], video[:, 1].transpose(0, 2, 3, 1))
    assert frames[0].pixels.dtype == kept_type(np.dtype(dtype))
    assert [frame.time for frame in frames] == ([0, 0.5, 1, 1.5, 2] if imagej else [None] * 5)


def test_plain_stacks_need_no_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    video = np.random.default_rng(0).integers(0, 256, (5, 8, 9), np.uint8)
    tifffile.imwrite(tmp_path / "a.tif", video)
    tifffile.imwrite(tmp_path / "deep.tif", np.stack([video, video], axis=1), imagej=True, metadata={"axes": "TCYX"})
    monkeypatch.setitem(sys.modules, "tifffile", None)
    assert reader_of(tmp_path / "a.tif").name == "pages"
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), video[..., None])
    with pytest.raises(DependencyError, match=r"`pip install 'convlstm\[tiff\]'`"):
        open_video(tmp_path / "deep.tif")


def test_many_images_behind_one_directory(tmp_path: Path) -> None:
    video = np.random.default_rng(0).integers(0, 256, (5, 8, 9), np.uint8)
    description = "ImageJ=1.11a\nimages=5\nframes=5\nhyperstack=true\n"
    tifffile.imwrite(tmp_path / "a.tif", video[0], description=description, metadata=None)
    with (tmp_path / "a.tif").open("ab") as file:
        file.write(video[1:].tobytes())
    assert [each.name for each in find_videos([tmp_path]).videos] == ["a.tif"]
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), video[..., None])


def test_images_of_many_bands_are_a_sequence(tmp_path: Path) -> None:
    video = np.random.default_rng(0).integers(0, 256, (6, 8, 9, 7), np.uint8)
    for number, frame in enumerate(video):
        tifffile.imwrite(tmp_path / f"f{number}.tif", frame, photometric="minisblack", planarconfig="contig")
    assert [each.path for each in find_videos([tmp_path]).videos] == [tmp_path]
    np.testing.assert_array_equal(read(tmp_path), video)
    (frame,) = frames_by(tmp_path / "f3.tif", TiffStack)
    np.testing.assert_array_equal(frame.pixels, video[3])


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [True, False])
def test_the_value_of_no_data_is_read(tmp_path: Path, order: str, big: bool) -> None:
    for number in range(3):
        tifffile.imwrite(
            tmp_path / f"f{number}.tif",
            np.full((8, 9), number, np.uint8),
            byteorder=order,  # type: ignore[arg-type]
            bigtiff=big,
            extratags=[(42113, "s", 0, "-9999", True)],
        )
    tags = read_tags(tmp_path / "f0.tif")
    assert tags is not None
    assert (tags.nodata, tags.samples, tags.bits, tags.sample_format) == (-9999, 1, 8, 1)
    with open_video(tmp_path) as video:
        assert video.missing == -9999


def test_damage_is_named(tmp_path: Path) -> None:
    video = np.random.default_rng(0).integers(0, 256, (5, 2, 30, 30), np.uint8)
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, video, imagej=True, metadata={"axes": "TCYX"})
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match=r"a\.tif: "):
        read(path)
