"""TIFFs that say which of their pixels are missing, by a transparency mask or by alpha."""

import gzip
import io
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from video_helpers import kept_type, read

from convlstm_cli.errors import InputError
from convlstm_cli.video import gdal_metadata
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.page_list import has_pages
from convlstm_cli.video.readers.tiff_gaps import IN_ALPHA, IN_MASK
from convlstm_cli.video.source import Placement
from convlstm_cli.video.writers import open_writer

tifffile: Any = pytest.importorskip("tifffile")

SIZE = (40, 45)
TYPES = ["u1", "u2", "i2", "u4", "f2", "f4"]
NODATA = 42113
Array = NDArray[Any]


def values(dtype: str, *shape: int) -> Array:
    return np.random.default_rng(0).integers(1, 100, shape).astype(dtype)


def masks(count: int, *, share: float = 0.3) -> Array:
    """Masks (T, H, W), false where a pixel is missing."""
    return np.random.default_rng(1).random((count, *SIZE)) >= share


def write_masked(path: Path | io.BytesIO, frames: Array, shown: Array, mask: dict[str, Any], **options: Any) -> None:
    """Writes frames (T, H, W, ...) with the mask (T, H, W) of each behind it, as GDAL has them."""
    options = {"photometric": "minisblack", "metadata": None} | options
    options |= {"planarconfig": "contig"} if frames.ndim == 4 else {}
    with tifffile.TiffWriter(path) as file:
        for frame, there in zip(frames, shown, strict=True):
            file.write(frame, **options)
            file.write(there, photometric="mask", metadata=None, **mask)


def with_alpha(colours: Array, alpha: Array) -> Array:
    """Frames (T, H, W, C) with a further band of their type."""
    return np.concatenate([colours, alpha[..., None].astype(colours.dtype)], axis=3)


def write_alpha(path: Path, frames: Array, *, planar: bool = False, kind: str = "unassalpha", **options: Any) -> None:
    """Writes frames (T, H, W, C) whose last band is alpha."""
    colours = frames.shape[3] - 1
    extra = ["unspecified"] * (colours - (3 if colours == 3 else 1)) + [kind]
    with tifffile.TiffWriter(path) as file:
        for frame in frames:
            file.write(
                np.ascontiguousarray(np.moveaxis(frame, 2, 0)) if planar else frame,
                photometric="rgb" if colours == 3 else "minisblack",
                planarconfig="separate" if planar else "contig",
                extrasamples=extra,
                metadata=None,
                **options,
            )


def expected(frames: Array, there: Array) -> Array:
    """Frames (T, H, W, C) as floats with NaN where they are not there."""
    return np.where(there[..., None], frames.astype(float), np.nan)


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize(
    "stored",
    [
        {"subfiletype": 4},
        {},  # which only PhotometricInterpretation says
        {"subfiletype": 4, "compression": "zlib"},
        {"subfiletype": 4, "tile": (16, 16)},
        {"subfiletype": 4, "tile": (32, 32), "compression": "zlib"},
        {"subfiletype": 4, "rowsperstrip": 7},
    ],
)
@pytest.mark.parametrize("dtype", TYPES)
def test_pixels_outside_the_mask_are_missing(tmp_path: Path, dtype: str, stored: dict[str, Any], pages: int) -> None:
    frames, shown = values(dtype, pages, *SIZE), masks(pages)
    write_masked(tmp_path / "a.tif", frames, shown, stored)
    assert has_pages(tmp_path / "a.tif") == (pages > 1)
    with open_video(tmp_path / "a.tif") as video:
        np.testing.assert_array_equal([*video], expected(frames[..., None], shown))
        assert IN_MASK in video.notes
        assert video.declared_range == ((0.0, 255.0) if dtype == "u1" else None)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("big", [True, False])
@pytest.mark.parametrize("eight_bits", [True, False])
def test_masks_of_any_form_are_read(tmp_path: Path, order: str, big: bool, eight_bits: bool) -> None:
    frames, shown = values("u2", 2, *SIZE), masks(2)
    kinds = [0, 4, 1, 5] * 2
    with tifffile.TiffWriter(tmp_path / "a.tif", bigtiff=big, byteorder=order) as file:
        for frame, there in zip(frames, shown, strict=True):
            mask = there.astype(np.uint8) * 255 if eight_bits else there
            for number, page in enumerate((frame, mask, frame[::2, ::2], mask[::2, ::2])):
                file.write(page, photometric="minisblack", subfiletype=min(number, 1), metadata=None)
    with tifffile.TiffFile(tmp_path / "a.tif", mode="r+") as file:  # tifffile itself writes no masks of 8 bits
        for page, kind in zip(file.pages, kinds, strict=True):
            page.tags["NewSubfileType"].overwrite(kind)
            page.tags["PhotometricInterpretation"].overwrite(4 if kind & 4 else 1)
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), expected(frames[..., None], shown))


@pytest.mark.parametrize("pages", [1, 3])
@pytest.mark.parametrize("kind", ["unassalpha", "assocalpha"])
@pytest.mark.parametrize("planar", [True, False])
@pytest.mark.parametrize("colours", [1, 3, 5])
@pytest.mark.parametrize("dtype", TYPES)
def test_pixels_with_an_alpha_of_0_are_missing(
    tmp_path: Path, dtype: str, colours: int, planar: bool, kind: str, pages: int
) -> None:
    frames, shown = values(dtype, pages, *SIZE, colours), masks(pages)
    full = 1 if dtype[0] == "f" else np.iinfo(dtype).max
    write_alpha(tmp_path / "a.tif", with_alpha(frames, shown * full), planar=planar, kind=kind)
    with open_video(tmp_path / "a.tif") as video:
        np.testing.assert_array_equal([*video], expected(frames, shown))
        assert IN_ALPHA in video.notes


@pytest.mark.parametrize("colours", [1, 3])
def test_pixels_that_are_there_in_part_keep_their_numbers(tmp_path: Path, colours: int) -> None:
    frames = values("u2", 1, *SIZE, colours)
    write_alpha(tmp_path / "a.tif", with_alpha(frames, np.full((1, *SIZE), 9)))
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames)


@pytest.mark.parametrize("dtype", ["u1", "u2", "u4"])
@pytest.mark.parametrize("alone", [True, False])
def test_what_is_there_throughout_keeps_its_type(tmp_path: Path, dtype: str, alone: bool) -> None:
    (tmp_path / "folder").mkdir()
    frames, shown = values(dtype, 2, *SIZE, 3 if dtype == "u1" else 1), masks(2, share=0.0)
    write_alpha(tmp_path / "alpha.tif", with_alpha(frames, shown * np.iinfo(dtype).max)[: 1 if alone else 2])
    write_masked(tmp_path / "mask.tif", frames[..., 0], shown, {"subfiletype": 4})
    for name, stored in (("alpha", frames[: 1 if alone else 2]), ("mask", frames[..., :1])):
        found = np.stack(read(tmp_path / f"{name}.tif"))
        assert found.dtype == kept_type(stored.dtype)
        np.testing.assert_array_equal(found, stored)
    write_masked(tmp_path / "folder" / "f1.tif", stored[:1, ..., 0], shown[:1], {"subfiletype": 4})
    with open_video(tmp_path / "folder") as video:
        assert video.facts().dtype == np.dtype(dtype).name


def test_a_fourth_band_that_is_no_alpha_is_not_asked(tmp_path: Path) -> None:
    frames = values("u1", 1, *SIZE, 3)
    write_alpha(tmp_path / "a.tif", with_alpha(frames, np.zeros((1, *SIZE))), kind="unspecified")
    np.testing.assert_array_equal(read(tmp_path / "a.tif"), frames)


@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "f4"])
@pytest.mark.parametrize("how", ["mask", "alpha"])
def test_missing_pixels_have_the_value_of_no_data(tmp_path: Path, dtype: str, how: str) -> None:
    frames, shown = values(dtype, 2, *SIZE), masks(2)
    tags = [(NODATA, 2, 0, "111", True)]
    if how == "mask":
        write_masked(tmp_path / "a.tif", frames, shown, {"subfiletype": 4}, extratags=tags)
    else:
        write_alpha(tmp_path / "a.tif", with_alpha(frames[..., None], shown), extratags=tags)
    with open_video(tmp_path / "a.tif") as video:
        found = np.stack(list(video))[..., 0]
        facts = video.facts()
    assert found.dtype == kept_type(np.dtype(dtype))
    assert facts.dtype == np.dtype(dtype).name
    np.testing.assert_array_equal(found, np.where(shown, frames, np.nan if dtype == "f4" else 111))


@pytest.mark.parametrize("nodata", [None, 7])
@pytest.mark.parametrize("how", ["mask", "alpha"])
def test_scaled_numbers_are_missing_too_and_a_forecast_has_the_scale(
    tmp_path: Path, how: str, nodata: int | None
) -> None:
    frames, shown = values("u2", 3, *SIZE) + np.uint16(10), masks(3)
    items = '<Item name="SCALE" sample="0" role="scale">0.5</Item>'
    tags: list[Any] = [(gdal_metadata.TAG, 2, 0, f"<GDALMetadata>{items}</GDALMetadata>", True)]
    tags += [] if nodata is None else [(NODATA, 2, 0, str(nodata), True)]
    tags += [(33550, 12, 3, (1.0, 1.0, 0.0), True), (33922, 12, 6, (0.0,) * 6, True)]
    for number in range(3):
        path, one = tmp_path / f"f{number}.tif", slice(number, number + 1)
        if how == "mask":
            write_masked(path, frames[one], shown[one], {"subfiletype": 4}, extratags=tags)
        else:
            write_alpha(path, with_alpha(frames[one, ..., None], shown[one]), extratags=tags)
    with open_video(tmp_path) as video:
        found, facts = np.stack(list(video)), video.facts()
    np.testing.assert_array_equal(found, expected(frames[..., None] * 0.5, shown))
    placement = Placement(facts, 3, missing=None)
    with open_writer(tmp_path / "out", "geotiff", 10.0, placement=placement) as writer:
        for frame in found:
            writer.write(frame)
    np.testing.assert_array_equal(read(tmp_path / "out"), found)
    with tifffile.TiffFile(tmp_path / "out" / "frame_000001.tif") as file:
        assert file.pages[0].dtype == ("float32" if nodata is None else "uint16")
        assert file.pages[0].tags[NODATA].value == ("nan" if nodata is None else "7")


@pytest.mark.parametrize("how", ["mask", "alpha"])
@pytest.mark.parametrize("packed", ["", "gz", "zip"])
def test_a_folder_of_which_one_file_has_gaps(tmp_path: Path, how: str, packed: str) -> None:
    frames, shown = values("u2", 3, *SIZE), masks(3)
    shown[0] = True
    for number in range(3):
        path, one = tmp_path / f"f{number}.tif", slice(number, number + 1)
        if how == "mask":
            write_masked(path, frames[one], shown[one], {"subfiletype": 4})
        else:
            write_alpha(path, with_alpha(frames[one, ..., None], shown[one]))
    folder = tmp_path
    files = sorted(tmp_path.glob("*.tif"))
    if packed == "zip":
        folder = tmp_path / "a.zip"
        with zipfile.ZipFile(folder, "w") as archive:
            for file in files:
                archive.write(file, file.name)
    if packed == "gz":
        for file in files:
            file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(file.read_bytes()))
            file.unlink()
    with open_video(folder) as video:
        np.testing.assert_array_equal([*video], expected(frames[..., None], shown))
        assert sum(note in (IN_MASK, IN_ALPHA) for note in video.notes) == 1
        assert video.facts().dtype in ("", "float32")


def test_masks_are_read_without_a_library_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    frames, shown = values("u2", 3, *SIZE), masks(1)
    with tifffile.TiffWriter(tmp_path / "a.tif") as file:
        for frame in frames:
            file.write(frame, photometric="minisblack", metadata=None)
        file.write(shown[0], photometric="mask", subfiletype=4, metadata=None)
    monkeypatch.setitem(sys.modules, "tifffile", None)
    with open_video(tmp_path / "a.tif") as video:
        found = np.stack(list(video))[..., 0]
    np.testing.assert_array_equal(found[:2], frames[:2])
    np.testing.assert_array_equal(np.isnan(found[2]), ~shown[0])
    assert f"{IN_MASK} of 1 of its 3 frames" in video.notes


@pytest.mark.parametrize("dtype", ["u2", "u4"])
def test_a_mask_of_another_size_is_named(tmp_path: Path, dtype: str) -> None:
    write_masked(tmp_path / "a.tif", values(dtype, 1, *SIZE), np.zeros((1, 9, 8), bool), {"subfiletype": 4})
    with pytest.raises(InputError, match=r"a\.tif.*is 40x45 pixels and its mask 9x8"):
        read(tmp_path / "a.tif")
