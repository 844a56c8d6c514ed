import contextlib
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from video_helpers import few, read

from convlstm_cli.errors import InputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.readers import open_video, reader_of
from convlstm_cli.video.readers.page_list import has_pages, iterate_pages


def noise(count: int, *shape: int) -> list[Frame]:
    return list(np.random.default_rng(count).integers(0, 256, (count, *shape), np.uint8))


def save(path: Path, pages: list[Frame], **options: Any) -> Path:
    first, *others = [Image.fromarray(page) for page in pages]
    first.save(path, save_all=True, append_images=others, **options)
    return path


@few
@given(st.integers(2, 150), st.sampled_from([None, "tiff_lzw", "tiff_adobe_deflate"]), st.sampled_from([(), (3,)]))
def test_the_pages_of_a_tiff_are_frames(
    tmp_path_factory: pytest.TempPathFactory, count: int, compression: str | None, channels: tuple[int, ...]
) -> None:
    pages = noise(count, 20, 24, *channels)
    path = save(tmp_path_factory.mktemp("tiff") / "a.tif", pages, compression=compression)
    with open_video(path) as video:
        assert (video.kind, video.declared_frames, video.fps) == ("pages", count, None)
        np.testing.assert_array_equal(list(video), [page.reshape(20, 24, -1) for page in pages])


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_deep_pages_keep_their_numbers(tmp_path: Path, dtype: type) -> None:
    pages: list[NDArray[Any]] = [np.full((20, 24), value, dtype) for value in (0, 1, 4095)]
    assert cv2.imwritemulti(str(tmp_path / "a.tif"), pages)
    frames = read(tmp_path / "a.tif")
    assert frames[0].dtype == dtype
    assert [int(frame[0, 0, 0]) for frame in frames] == [0, 1, 4095]


def test_smaller_copies_are_no_frames(tmp_path: Path) -> None:
    full, small = Image.new("L", (24, 20), 7), Image.new("L", (12, 10), 9)
    small.encoderinfo = {"tiffinfo": {254: 1}}
    full.save(tmp_path / "one.tif", save_all=True, append_images=[small])
    assert len(list(iterate_pages(tmp_path / "one.tif"))) == 2
    assert not has_pages(tmp_path / "one.tif")
    full.save(tmp_path / "two.tif", save_all=True, append_images=[small, Image.new("L", (24, 20), 8)])
    with open_video(tmp_path / "two.tif") as video:
        assert [int(frame[0, 0, 0]) for frame in video] == [7, 8]
        assert any("smaller copies" in note for note in video.notes)


def test_pages_of_two_sizes_are_named(tmp_path: Path) -> None:
    save(tmp_path / "a.tif", [np.zeros((20, 24), np.uint8), np.zeros((20, 25), np.uint8)])
    with pytest.raises(InputError, match="page 2 is 20x25 pixels and the first is 20x24"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize(
    ("suffix", "options"), [("webp", {"lossless": True}), ("png", {}), ("apng", {"format": "PNG"})]
)
def test_an_animation_has_frames_and_times(tmp_path: Path, suffix: str, options: dict[str, Any]) -> None:
    pages = noise(6, 20, 24, 3)
    path = save(tmp_path / f"a.{suffix}", pages, duration=[100, 100, 300, 100, 100, 50], loop=0, **options)
    with open_video(path) as video:
        assert (video.kind, video.fps, video.declared_frames) == ("pages", None, 6)
        times = []
        for frame, page in zip(video, pages, strict=True):
            np.testing.assert_array_equal(frame, page)
            times.append(video.time)
    assert times == pytest.approx([0, 0.1, 0.2, 0.5, 0.6, 0.7])


def test_an_even_animation_has_a_rate(tmp_path: Path) -> None:
    path = save(tmp_path / "a.webp", noise(6, 20, 24, 3), duration=40, lossless=True)
    with open_video(path) as video:
        assert video.fps == pytest.approx(25)


def test_transparent_pixels_of_an_animation_are_missing(tmp_path: Path) -> None:
    pages = noise(3, 20, 24, 4)
    for page in pages:
        page[:, :, 3] = page[:, :, 3].clip(1)
        page[:10, :, 3] = 0
    save(tmp_path / "a.webp", pages, duration=40, lossless=True, exact=True)
    frames, given = np.stack(read(tmp_path / "a.webp")), np.stack(pages)[:, 10:]
    assert np.isnan(frames[:, :10]).all()
    np.testing.assert_allclose(frames[:, 10:], given[..., :3] * (given[..., 3:] / 255), atol=0.51)


def test_the_picture_for_other_programs_is_no_frame(tmp_path: Path) -> None:
    pages = noise(4, 20, 24, 3)
    save(tmp_path / "a.png", pages, default_image=True, duration=40)
    np.testing.assert_array_equal(read(tmp_path / "a.png"), pages[1:])


@pytest.mark.parametrize("suffix", ["tif", "webp", "png", "apng", "jpg"])
def test_an_image_of_one_page_is_no_stack(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(noise(1, 20, 24, 3)[0]).save(path, format="PNG" if suffix == "apng" else None)
    assert not has_pages(path)
    assert reader_of(path).name == ("pages" if suffix == "apng" else "images")
    assert len(read(path)) == 1


def test_a_circle_of_directories_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    path.write_bytes(b"II*\0" + struct.pack("<IHI", 8, 0, 8))
    assert not has_pages(path)
    with pytest.raises(InputError, match=r"a\.tif"):
        read(path)


@pytest.mark.parametrize("suffix", ["tif", "webp", "png"])
def test_a_torn_file_gives_sound_frames_or_a_message(tmp_path: Path, suffix: str) -> None:
    path = save(tmp_path / f"a.{suffix}", noise(5, 20, 24, 3))
    whole, content = read(path), path.read_bytes()
    for length in np.random.default_rng(0).integers(1, len(content), 25):
        path.write_bytes(content[:length])
        frames: list[Frame] = []
        with contextlib.suppress(InputError), open_video(path) as video:
            frames.extend(video)
        assert len(frames) <= len(whole)
        np.testing.assert_array_equal(frames[:-1], whole[: max(0, len(frames) - 1)])


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no FIFOs")
def test_a_fifo_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.tif")
    assert not has_pages(tmp_path / "a.tif")
