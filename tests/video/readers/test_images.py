import gzip
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import ExifTags, Image, ImageOps
from video_helpers import read, write_image

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers import images, open_video, source_files


@given(st.lists(st.integers(0, 10**6), min_size=2, unique=True))
def test_natural_order(tmp_path_factory: pytest.TempPathFactory, numbers: list[int]) -> None:
    folder = tmp_path_factory.mktemp("images")
    for number in numbers:
        (folder / f"frame{number}.png").touch()
    assert [path.name for path in source_files(folder)] == [f"frame{number}.png" for number in sorted(numbers)]


def test_frames_keep_their_order_channels_and_values(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    frames = {number: random.integers(0, 256, (17, 23, 3), np.uint8) for number in (10, 9, 100, 1)}
    for number, frame in frames.items():
        write_image(tmp_path / f"f{number}.png", frame)
    (tmp_path / ".hidden.png").write_text("x")
    (tmp_path / "notes.txt").write_text("x")
    with open_video(tmp_path) as video:
        assert (video.kind, video.fps, video.declared_frames) == ("images", None, 4)
        np.testing.assert_array_equal(list(video), [frames[number] for number in (1, 9, 10, 100)])


def test_grey_stays_one_channel(tmp_path: Path) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (17, 23), np.uint8)
    (frame,) = read(write_image(tmp_path / "a.png", grey))
    np.testing.assert_array_equal(frame, grey[..., None])


def test_sixteen_bits_keep_their_numbers(tmp_path: Path) -> None:
    deep = np.array([[0, 1], [4095, 65535]], np.uint16)
    (frame,) = read(write_image(tmp_path / "a.png", deep))
    assert frame.dtype == np.uint16
    np.testing.assert_array_equal(frame[..., 0], deep)
    colour = np.dstack((deep, deep + 0, 65535 - deep))  # BGR, as OpenCV writes it
    assert cv2.imwrite(str(tmp_path / "b.png"), colour)
    (frame,) = read(tmp_path / "b.png")
    np.testing.assert_array_equal(frame, colour[..., ::-1])


def test_images_of_several_types_are_no_video(tmp_path: Path) -> None:
    for number, dtype in enumerate((np.uint8, np.uint8, np.uint16), start=1):
        write_image(tmp_path / f"{number}.png", np.zeros((17, 23), dtype))
    with pytest.raises(InputError, match="changes from pixels of type uint8 to uint16"):
        read(tmp_path)


@pytest.mark.parametrize(("suffix", "mode"), [("png", "RGBA"), ("png", "LA"), ("webp", "RGBA")])
def test_transparent_pixels_are_missing_or_stand_in_front_of_black(tmp_path: Path, suffix: str, mode: str) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (17, 23, len(mode)), np.uint8)
    pixels[..., -1] = pixels[..., -1].clip(1)
    Image.fromarray(pixels).save(tmp_path / f"b.{suffix}", lossless=True, exact=True)
    assert read(tmp_path / f"b.{suffix}")[0].dtype == np.uint8
    pixels[3:5, :, -1] = 0
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", lossless=True, exact=True)
    (frame,) = read(tmp_path / f"a.{suffix}")
    expected = np.rint(pixels[..., :-1].astype(float) * (pixels[..., -1:] / 255))
    assert frame.dtype == np.float32
    expected[3:5] = np.nan
    np.testing.assert_allclose(frame, expected, atol=1)


def test_all_images_of_a_folder_are_floats_where_one_has_transparent_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(1, 256, (3, 17, 23, 4), np.uint8)
    pixels[..., 3] = 255
    pixels[2, 0, 0, 3] = 0
    Image.fromarray(pixels[0, :, :, :3]).save(tmp_path / "f1.png")
    for number in (1, 2):
        Image.fromarray(pixels[number]).save(tmp_path / f"f{number + 1}.png")
    expected = pixels[..., :3].astype(np.float32)
    expected[2, 0, 0] = np.nan
    with open_video(tmp_path) as video:
        assert video.declared_range == (0.0, 255.0)
        assert video.notes == ["its wholly transparent pixels are missing"]
        np.testing.assert_array_equal(np.stack(list(video)), expected)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("suffix", "channels"), [("jpg", 3), ("png", 3), ("png", 4)])
def test_images_are_turned_as_they_ask(tmp_path: Path, orientation: int, suffix: str, channels: int) -> None:
    pixels = np.full((24, 40, channels), 255, np.uint8)
    pixels[:8, :16, :3] = 0
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = orientation
    Image.fromarray(pixels).save(tmp_path / f"a.{suffix}", exif=exif)
    with Image.open(tmp_path / f"a.{suffix}") as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    (frame,) = read(tmp_path / f"a.{suffix}")
    np.testing.assert_allclose(frame, expected, atol=8)


def test_another_size_is_named(tmp_path: Path) -> None:
    write_image(tmp_path / "f1.png", np.zeros((20, 30), np.uint8))
    write_image(tmp_path / "f2.png", np.zeros((20, 31), np.uint8))
    with pytest.raises(InputError, match=r"f2\.png: is 20x31 .* f1\.png is 20x30"):
        read(tmp_path)


def test_a_damaged_image_is_named(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    for number in range(3):
        path = write_image(tmp_path / f"f{number}.png", random.integers(0, 256, (32, 32), np.uint8))
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(InputError, match=r"f2\.png: is damaged"):
        read(tmp_path)


def test_compressed_images(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 256, (12, 9, 8), np.uint8)
    for number, frame in enumerate(frames):
        content = b"P5 8 9 255\n" + frame.tobytes()
        (tmp_path / f"radar_202405012{number // 6}{number % 6}0.pgm.gz").write_bytes(gzip.compress(content))
    with open_video(tmp_path) as video:
        np.testing.assert_array_equal([*video], frames[..., None])
        assert video.time == 6600.0
    (tmp_path / "radar_202405012000.pgm.gz").write_bytes(gzip.compress(content)[:-9])
    with pytest.raises(InputError, match=r"2000\.pgm\.gz: is cut off or damaged"):
        open_video(tmp_path)


def test_a_compressed_image_that_unpacks_to_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(images, "MAX_BYTES", 10**6)
    (tmp_path / "bomb.png.gz").write_bytes(gzip.compress(bytes(10**7)))
    with pytest.raises(InputError, match="unpacks to more than 1000000 bytes"):
        open_video(tmp_path / "bomb.png.gz")


def test_a_damaged_image_among_many_is_left_out_and_said(tmp_path: Path) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (20, 16, 16), dtype=np.uint8)
    for number, frame in enumerate(frames):
        cv2.imwrite(str(tmp_path / f"f{number:02}.png"), frame)
    (tmp_path / "f07.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with open_video(tmp_path) as video:
        read = [frame[:, :, 0] for frame in video]
    np.testing.assert_array_equal(read, np.delete(frames, 7, axis=0))
    assert video.numbers == [float(number) for number in range(20) if number != 7]
    assert "leaves out 1 of its 20 images" in video.notes[0]
    assert "f07.png" in video.notes[0]
    for number in (8, 9):
        (tmp_path / f"f0{number}.png").write_bytes(b"")
    with pytest.raises(InputError, match=r"f07\.png: is damaged"), open_video(tmp_path) as video:
        list(video)
