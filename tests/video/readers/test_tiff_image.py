import itertools
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from numpy.typing import NDArray
from video_helpers import read, write

from convlstm_cli.errors import InputError
from convlstm_cli.video.readers import open_video

WHITE_IS_LEAST = "its least number is white (MINISWHITE); its numbers are "


def packed(path: Path, frame: NDArray[Any], bits: int, photometric: str, **others: Any) -> Path:
    """Writes a frame (H, W, C) with values of less than 8 or 16 bits, packed as TIFF 6.0 asks: rows end on a byte."""
    flat = frame.reshape(len(frame), -1, 1).astype(int)
    rows = (flat >> np.arange(bits - 1, -1, -1) & 1).reshape(len(frame), -1).astype(np.uint8)
    options: dict[str, Any] = {"planarconfig": "contig"} if frame.shape[2] > 1 else {}
    tifffile.imwrite(
        path,
        iter([zlib.compress(np.packbits(rows, axis=1).tobytes())]),
        shape=frame.shape if frame.shape[2] > 1 else frame.shape[:2],
        dtype="uint8" if bits <= 8 else "uint16",
        compression="zlib",
        rowsperstrip=len(frame),
        photometric=photometric,
        metadata=None,
        **options,
        **others,
    )
    with tifffile.TiffFile(path, mode="r+") as file:  # tifffile itself packs no values of these widths
        file.pages.first.tags["BitsPerSample"].overwrite([bits] * frame.shape[2] if frame.shape[2] > 1 else bits)
    return path


def numbers(dtype: str, *shape: int) -> NDArray[Any]:
    if dtype == "bool":
        return np.random.default_rng(0).integers(0, 2, shape).astype(bool)
    if dtype == "f4":
        return np.random.default_rng(0).random(shape, np.float32)
    limits = np.iinfo(dtype)
    return np.random.default_rng(0).integers(limits.min, limits.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("photometric", ["minisblack", "rgb"])
@pytest.mark.parametrize("compression", [None, "zlib"])
def test_tiles_of_16_pixels_come_back_exactly(
    tmp_path: Path, compression: str | None, photometric: str, pages: int
) -> None:
    frames = numbers("u1", pages, 40, 45, 3 if photometric == "rgb" else 1)
    stored = frames if photometric == "rgb" else frames[..., 0]
    tifffile.imwrite(
        tmp_path / "a.tif", stored, photometric=photometric, tile=(16, 16), compression=compression, metadata=None
    )
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiles_are_turned_as_strips_are(tmp_path: Path, orientation: int) -> None:
    for name, tile in (("strips.tif", None), ("tiles.tif", (16, 16))):
        tags = [(274, 3, 1, orientation, True)]
        tifffile.imwrite(tmp_path / name, numbers("u1", 40, 45), tile=tile, extratags=tags, metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "tiles.tif"), read(tmp_path / "strips.tif"))


def test_palettes_in_tiles_are_colours(tmp_path: Path) -> None:
    palette = np.random.default_rng(0).integers(0, 2**16, (3, 256), np.uint16)
    frame = numbers("u1", 40, 45)
    tifffile.imwrite(tmp_path / "a.tif", frame, photometric="palette", colormap=palette, tile=(16, 16), metadata=None)
    np.testing.assert_array_equal(read(tmp_path / "a.tif")[0], (palette[:, frame] >> 8).transpose(1, 2, 0))


@pytest.mark.parametrize("colours", [[(255, 0, 128), (0, 128, 255)], [(0, 0, 0), (90, 90, 90)]])
def test_palettes_of_two_colours_are_those_colours(tmp_path: Path, colours: list[tuple[int, int, int]]) -> None:
    palette, frame = np.array(colours, np.uint16).T * 257, numbers("bool", 9, 13, 1)
    path = packed(tmp_path / "a.tif", frame, 1, "palette", colormap=np.zeros((3, 256), np.uint16))
    with tifffile.TiffFile(path, mode="r+") as file:
        file.pages.first.tags["ColorMap"].overwrite(palette.ravel())
    shown = np.array(colours, np.uint8)[frame[..., 0].astype(int)]
    np.testing.assert_array_equal(np.broadcast_to(read(path)[0], shown.shape), shown)


def test_a_library_that_is_missing_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tifffile.imwrite(tmp_path / "a.tif", numbers("u1", 40, 45), tile=(16, 16), metadata=None)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with pytest.raises(InputError, match=r"a\.tif: .*`pip install 'convlstm\[tiff\]'`"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("bands", [1, 5])
def test_values_of_four_bits_are_refused_with_what_helps(tmp_path: Path, bands: int) -> None:
    packed(tmp_path / "a.tif", numbers("u2", 9, 11, bands) % 16, 4, "minisblack")
    with pytest.raises(InputError, match=r"a\.tif: cannot be decoded: it needs .* 8 or 16 bits"):
        read(tmp_path / "a.tif")


@pytest.mark.parametrize("length", [0.3, 0.6, 0.95])
def test_tiles_that_are_cut_off_are_not_filled_with_black(tmp_path: Path, length: float) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, numbers("u1", 90, 90), tile=(16, 16), metadata=None)
    path.write_bytes(path.read_bytes()[: int(length * path.stat().st_size)])
    with pytest.raises(InputError, match=r"a\.tif"):
        read(path)


@pytest.mark.parametrize("bands", [2, 3, 4, 5])
@pytest.mark.parametrize("width", [16, 13])
def test_bands_of_one_bit_come_back_exactly(tmp_path: Path, width: int, bands: int) -> None:
    frame = numbers("bool", 9, width, bands)
    np.testing.assert_array_equal(read(packed(tmp_path / "a.tif", frame, 1, "minisblack"))[0], frame)


def test_colours_of_one_bit_are_dark_and_bright(tmp_path: Path) -> None:
    frame = numbers("bool", 9, 13, 3)
    np.testing.assert_array_equal(read(packed(tmp_path / "a.tif", frame, 1, "rgb"))[0], frame * np.uint8(255))


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite"])
def test_values_of_odd_widths_keep_their_numbers(tmp_path: Path, photometric: str, bits: int) -> None:
    frame = numbers("u2", 9, 16, 1) >> (16 - bits)
    shown = frame if photometric == "minisblack" else 2**bits - 1 - frame
    np.testing.assert_array_equal(read(packed(tmp_path / "a.tif", frame, bits, photometric))[0], shown)


@pytest.mark.parametrize("tile", [None, (16, 16)])
@pytest.mark.parametrize(
    ("dtype", "kind"),
    [
        *itertools.product(["bool", "u1", "u2", "u4", "i2"], ["image", "stack", "folder"]),
        ("u1", "channels"),
        ("u2", "channels"),
    ],
)
def test_what_is_shown_as_white_is_bright(tmp_path: Path, dtype: str, tile: tuple[int, int] | None, kind: str) -> None:
    frames = numbers(dtype, *{"image": (1, 40, 45), "channels": (3, 2, 40, 45)}.get(kind, (3, 40, 45)))
    options: dict[str, Any] = {"photometric": "miniswhite", "tile": tile} | (
        {"bitspersample": 1} if dtype == "bool" else {}
    )
    if kind == "folder":
        for number, frame in enumerate(frames):
            tifffile.imwrite(tmp_path / f"f{number}.tif", frame, metadata=None, **options)
    else:
        described = {"imagej": True, "metadata": {"axes": "TCYX"}} if kind == "channels" else {"metadata": None}
        tifffile.imwrite(tmp_path / "a.tif", frames, **options, **described)
    shown = ~frames * np.uint8(255) if dtype == "bool" else ~frames
    with open_video(tmp_path if kind == "folder" else tmp_path / "a.tif") as video:
        pixels = np.stack(list(video))
        assert f"{WHITE_IS_LEAST}counted from black" in video.notes
    np.testing.assert_array_equal(pixels, shown.transpose(0, 2, 3, 1) if kind == "channels" else shown[..., None])
    written = write(tmp_path / "out", "tiff", pixels)
    np.testing.assert_array_equal(read(written), pixels)


def test_floats_have_no_black_and_keep_their_numbers(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", numbers("f4", 3, 9, 13), photometric="miniswhite", metadata=None)
    with open_video(tmp_path / "a.tif") as video:
        np.testing.assert_array_equal(list(video), numbers("f4", 3, 9, 13, 1))
        assert video.notes == [f"{WHITE_IS_LEAST}kept, since floats have no number for black"]


@pytest.mark.parametrize(("dtype", "missing"), [("u1", 200), ("u2", 7), ("i2", -9999)])
def test_the_value_of_no_data_is_counted_from_black_too(tmp_path: Path, dtype: str, missing: int) -> None:
    frame = numbers(dtype, 9, 13)
    frame[2:4] = missing
    tags = [(42113, "s", 0, str(missing), True)]
    tifffile.imwrite(tmp_path / "a.tif", frame, photometric="miniswhite", extratags=tags, metadata=None)
    with open_video(tmp_path / "a.tif") as video:
        assert video.facts().packing.missing == (video.missing,)
        (pixels,) = list(video)
        np.testing.assert_array_equal(pixels[:, :, 0] == video.missing, frame == missing)
