"""Folders of measured values, a frame in each file, whose files say the same beside their pixels, or not."""

import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from convlstm_cli.errors import InputError
from convlstm_cli.video import gdal_metadata
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.source import Placement
from convlstm_cli.video.writers import open_writer

tifffile: Any = pytest.importorskip("tifffile")

PIXEL, TIE = (1000.0, 1000.0, 0.0), (0.0, 0.0, 0.0, 500_000.0, 6_000_000.0, 0.0)
COUNTS = np.arange(1000, 1000 + 4 * 6 * 7, dtype=np.int16).reshape(4, 6, 7)


def packed(scale: float | None, unit: str = "K", offset: float = 0.0) -> str:
    if scale is None:
        return ""
    values = (("SCALE", "scale", scale), ("OFFSET", "offset", offset), ("UNITTYPE", "unittype", unit))
    items = "".join(f'<Item name="{name}" sample="0" role="{role}">{value}</Item>' for name, role, value in values)
    return f"<GDALMetadata>{items}</GDALMetadata>"


def geotiff(path: Path, counts: NDArray[Any], nodata: float | None = -1, east: float = 0.0, metadata: str = "") -> None:
    tie = (*TIE[:3], TIE[3] + east, *TIE[4:])
    tags: list[tuple[Any, ...]] = [(33550, 12, 3, PIXEL, True), (33922, 12, 6, tie, True)]
    tags += [] if nodata is None else [(42113, 2, 0, str(nodata), True)]
    tags += [(gdal_metadata.TAG, 2, 0, metadata, True)] if metadata else []
    layout = "contig" if counts.ndim == 3 else None
    tifffile.imwrite(path, counts, metadata=None, photometric="minisblack", planarconfig=layout, extratags=tags)


def series(folder: Path, write: Callable[[Path, NDArray[Any], int], None], counts: NDArray[Any] = COUNTS) -> Path:
    folder.mkdir()
    for number, frame in enumerate(counts):
        write(folder / f"f{number}.tif", frame, number)
    return folder


def frames_of(path: Path) -> tuple[NDArray[Any], str, float | None]:
    with open_video(path) as video:
        return np.stack(list(video))[..., 0], video.unit, video.missing


def with_gap(value: int) -> NDArray[Any]:
    counts = COUNTS.copy()
    counts[:, 0, 0] = value
    return counts


def test_counts_become_values_in_their_unit_and_a_forecast_counts_again(tmp_path: Path) -> None:
    metadata = packed(0.02, offset=5.0)
    folder = series(tmp_path / "lst", lambda path, frame, _: geotiff(path, frame, metadata=metadata), with_gap(-1))
    values, unit, missing = frames_of(folder)
    expected = (COUNTS * 0.02 + 5).astype(np.float32)
    expected[:, 0, 0] = np.nan
    np.testing.assert_array_equal(values, expected)
    assert (values.dtype.name, unit, missing) == ("float32", "K", None)
    with open_video(folder) as video:
        placement = Placement(video.facts(), unit=video.unit, missing=video.missing)
    for rows in (6, 3):  # also of another size than that of its coordinates
        with open_writer(tmp_path / f"{rows}", "geotiff", 10.0, placement=placement) as writer:
            writer.write(values[2, :rows, :, None])
        with tifffile.TiffFile(tmp_path / f"{rows}" / "frame_000001.tif") as file:
            np.testing.assert_array_equal(file.asarray(), with_gap(-1)[2, :rows])
            assert file.asarray().dtype == np.int16
            assert file.pages[0].tags[gdal_metadata.TAG].value == metadata


def test_an_archive_of_them_is_read_alike(tmp_path: Path) -> None:
    folder = series(tmp_path / "lst", lambda path, frame, _: geotiff(path, frame, metadata=packed(0.5)), with_gap(-1))
    with zipfile.ZipFile(tmp_path / "lst.zip", "w") as archive:
        for file in sorted(folder.iterdir()):
            archive.write(file, file.name)
    unpacked, zipped = frames_of(folder), frames_of(tmp_path / "lst.zip")
    np.testing.assert_array_equal(unpacked[0], zipped[0])
    assert unpacked[1:] == zipped[1:] == ("K", None)


def test_bands_are_scaled_too(tmp_path: Path) -> None:
    both = gdal_metadata.of_bands(packed(0.5), [0, 0])
    tifffile.imwrite(
        tmp_path / "a.tif",
        COUNTS[:2].transpose(1, 2, 0),
        metadata=None,
        photometric="minisblack",
        planarconfig="contig",
        extratags=[(gdal_metadata.TAG, 2, 0, both, True)],
    )
    with open_video(tmp_path / "a.tif") as video:
        np.testing.assert_array_equal(next(video), COUNTS[:2].transpose(1, 2, 0) * np.float32(0.5))
        assert video.unit == "K"


def test_files_of_several_scales_are_values_and_a_forecast_is_not_clipped(tmp_path: Path) -> None:
    folder = series(
        tmp_path / "a",
        lambda path, frame, number: geotiff(path, frame, metadata=packed(0.5 * 10**number)),
        with_gap(-1),
    )
    values = frames_of(folder)[0]
    np.testing.assert_allclose(values[3, 1:], COUNTS[3, 1:] * 500.0)
    with open_video(folder) as video:
        placement = Placement(video.facts(), unit=video.unit, missing=video.missing)
    with open_writer(tmp_path / "out", "geotiff", 10.0, placement=placement) as writer:
        writer.write(values[3][..., None])
    with tifffile.TiffFile(tmp_path / "out" / "frame_000001.tif") as file:
        np.testing.assert_array_equal(file.asarray(), values[3])
        said = file.pages[0].tags[gdal_metadata.TAG].value
        assert gdal_metadata.scaling_of(said, [0]) == gdal_metadata.Scaling(unit="K")
        assert file.pages[0].tags[33922].value == TIE


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_each_file_has_its_own_value_for_no_data(tmp_path: Path, dtype: str) -> None:
    counts = COUNTS.astype(dtype)
    gaps = [-1, -9, -1, -99]
    for number, gap in enumerate(gaps):
        counts[number, 0, 0] = gap
    folder = series(tmp_path / "a", lambda path, frame, number: geotiff(path, frame, gaps[number]), counts)
    values, _, missing = frames_of(folder)
    assert missing == -1
    known = COUNTS.reshape(4, -1)[:, 1:]
    np.testing.assert_array_equal(values.reshape(4, -1)[:, 1:], known)
    first = values[:, 0, 0]
    assert ((first == -1) | np.isnan(first.astype(float))).all()


@pytest.mark.parametrize(("first", "second"), [(None, -1), (1050, -1)])
def test_a_number_that_cannot_mean_no_data_is_refused(tmp_path: Path, first: float | None, second: float) -> None:
    folder = series(
        tmp_path / "a", lambda path, frame, number: geotiff(path, frame, second if number else first), with_gap(-1)
    )
    with pytest.raises(InputError, match=r"f1\.tif: has -1 for no data and f0\.tif has (none|1050); "):
        frames_of(folder)


def test_another_unit_is_refused(tmp_path: Path) -> None:
    folder = series(
        tmp_path / "a",
        lambda path, frame, number: geotiff(path, frame, metadata=packed(0.5, "K" if number < 2 else "degC")),
    )
    with pytest.raises(InputError, match=r"f2\.tif: has 'degC' and f0\.tif has 'K'; all files of a video"):
        frames_of(folder)


@pytest.mark.parametrize(("east", "kept"), [(0.0, True), (1e-6, True), (250.0, False)])
def test_files_of_other_places_leave_a_forecast_without_one(tmp_path: Path, east: float, kept: bool) -> None:
    folder = series(tmp_path / "a", lambda path, frame, number: geotiff(path, frame, east=number * east))
    with open_video(folder) as video:
        facts = video.facts()
        assert video.facts() == facts
        notes = video.notes
    assert {tag.code for tag in facts.tags} == ({33550, 33922} if kept else set())
    note = "f0.tif and f1.tif lie at different places, so a forecast has no coordinates"
    assert notes == ([] if kept else [note])


def test_the_names_of_bands_go_with_the_bands_that_are_chosen(tmp_path: Path) -> None:
    items = "".join(f'<Item name="DESCRIPTION" sample="{band}">{name}</Item>' for band, name in enumerate("uv"))
    metadata = f"<GDALMetadata>{items}</GDALMetadata>"

    def write(path: Path, frame: NDArray[Any], _: int) -> None:
        geotiff(path, np.stack([frame, frame], -1), metadata=metadata)

    with open_video(series(tmp_path / "a", write)) as video:
        video.select(["v"])
        facts = video.facts()
    said = next(str(tag.values) for tag in facts.tags if tag.code == gdal_metadata.TAG)
    assert gdal_metadata.band_names(said) == {0: "v"}


def test_netcdf_files_of_several_scales_and_places(tmp_path: Path) -> None:
    netcdf: Any = pytest.importorskip("netCDF4")
    (tmp_path / "a").mkdir()
    for number in range(3):
        with netcdf.Dataset(tmp_path / "a" / f"f{number}.nc", "w") as file:
            for name, size in (("y", 6), ("x", 7)):
                file.createDimension(name, size)
                file.createVariable(name, "f8", (name,))[:] = np.arange(size) + (number if name == "x" else 0)
            rain = file.createVariable("rain", "u2", ("y", "x"), fill_value=65535)
            rain.setncatts({"units": "mm/h", "scale_factor": 0.001 * 10**number})
            rain[:] = np.full((6, 7), 5.0 * 10**number)
            file.setncatts({"title": "rain", "time_coverage_start": f"12:{number}0"})
    with open_video(tmp_path / "a") as video:
        facts = video.facts()
        assert [round(float(frame.max()), 3) for frame in video] == [5.0, 50.0, 500.0]
        assert video.notes == ["f0.nc and f1.nc lie at different places, so a forecast has no coordinates"]
    assert [each.name for each in facts.variables] == ["y"]
    assert dict(facts.file_attributes) == {"title": "rain"}
    with open_writer(tmp_path / "out.nc", "netcdf", 10.0, placement=Placement(facts, 1, unit="mm/h")) as writer:
        writer.write(np.full((6, 7, 1), 500.0, np.float32))
    with netcdf.Dataset(tmp_path / "out.nc") as file:
        assert float(file["rain"][:].max()) == 500.0
