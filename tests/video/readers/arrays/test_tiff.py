import sys
from pathlib import Path
from typing import Literal

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


@pytest.mark.parametrize("axes", ["TYX", "TCYX"])
@pytest.mark.parametrize(
    ("described", "step"),
    [
        ({"finterval": 2.5}, 2.5),
        ({"finterval": 2.5, "tunit": "sec"}, 2.5),
        ({"finterval": 2.5, "tunit": "min"}, 150),
        ({"finterval": 40, "tunit": "ms"}, 0.04),
        ({"finterval": 2.5, "tunit": "epochs"}, None),
        ({"finterval": 0}, None),
        ({"TimeIncrement": 2.5}, 2.5),
        ({"TimeIncrement": 2.5, "TimeIncrementUnit": "min"}, 150),
        ({"TimeIncrement": 2.5, "TimeIncrementUnit": "µs"}, 2.5e-6),
        ({}, None),
    ],
)
def test_the_interval_is_that_of_imagej_or_ome_in_its_unit(
    tmp_path: Path, axes: str, described: dict[str, object], step: float | None
) -> None:
    stack = np.random.default_rng(0).integers(0, 999, (4, 2, 8, 9) if "C" in axes else (4, 8, 9), np.uint16)
    is_ome = "TimeIncrement" in described
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=not is_ome, ome=is_ome, metadata={"axes": axes, **described})
    with open_video(tmp_path / "a.tif") as video:
        times = [video.time for _ in video]
    assert times == ([None] * 4 if step is None else pytest.approx([0, step, 2 * step, 3 * step]))


def test_planes_in_depth_have_no_interval(tmp_path: Path) -> None:
    stack = np.zeros((4, 8, 9), np.uint16)
    tifffile.imwrite(tmp_path / "a.tif", stack, imagej=True, metadata={"axes": "ZYX", "finterval": 2.5})
    with open_video(tmp_path / "a.tif") as video:
        assert [video.time for _ in video] == [None] * 4


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("photometric", ["rgb", "minisblack"])
@pytest.mark.parametrize("order", ["contig", "separate"])
@pytest.mark.parametrize("dtype", ["u1", "u2", "f2", "f4", "f8"])
def test_three_bands_come_back_exactly_in_any_order(
    tmp_path: Path, dtype: str, order: Literal["contig", "separate"], photometric: str, pages: int
) -> None:
    frames = np.random.default_rng(0).uniform(0, 250, (pages, 8, 9, 3)).astype(dtype)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for frame in frames:
            pixels = frame if order == "contig" else np.ascontiguousarray(frame.transpose(2, 0, 1))
            file.write(pixels, photometric=photometric, planarconfig=order, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames)


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
