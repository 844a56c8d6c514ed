"""TIFF stacks as ImageJ and Bio-Formats read them, and geographic images."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from convlstm_cli.errors import OutputError
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.tiff_facts import tiff_facts
from convlstm_cli.video.readers.tiff_tags import GEO
from convlstm_cli.video.source import Placement, SourceFacts
from convlstm_cli.video.writers import open_writer

tifffile: Any = pytest.importorskip("tifffile")

PIXEL, TIE = (1000.0, 1000.0, 0.0), (0.0, 0.0, 0.0, 500_000.0, 6_000_000.0, 0.0)
KEYS = (1, 1, 0, 2, 1024, 0, 1, 1, 3072, 0, 1, 32632)
TAGS: list[tuple[Any, ...]] = [(33550, 12, 3, PIXEL, True), (33922, 12, 6, TIE, True), (34735, 3, 12, KEYS, True)]
TAGS += [(34737, 2, 0, "WGS 84 / UTM zone 32N|", True), (42113, 2, 0, "-9999", True)]
METADATA = (
    '<GDALMetadata><Item name="STATISTICS_MEAN" sample="0">3</Item><Item name="SCALE" sample="0">0.1</Item>'
    "</GDALMetadata>"
)


def stack(path: Path, dtype: str, channels: int, placement: Placement | None = None) -> Any:
    frames = np.arange(3 * 6 * 7 * channels).reshape(3, 6, 7, channels).astype(dtype)
    with open_writer(path, "tiff", 10.0, placement=placement) as writer:
        for frame in frames:
            writer.write(frame)
    return frames


@pytest.mark.parametrize(("dtype", "channels", "axes"), [("uint16", 1, "TYX"), ("float32", 4, "TCYX")])
def test_imagej_knows_the_axes_and_the_interval(tmp_path: Path, dtype: str, channels: int, axes: str) -> None:
    placement = Placement(SourceFacts(attributes={"unit": "micron"}), 3, (300.0, 600.0, 900.0))
    frames = stack(tmp_path / "a.tif", dtype, channels, placement)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.series[0].axes == axes
        assert (file.imagej_metadata["finterval"], file.imagej_metadata["unit"]) == (300.0, "micron")
        seen = file.asarray()
    np.testing.assert_array_equal(seen, frames[..., 0] if channels == 1 else frames.transpose(0, 3, 1, 2))


@pytest.mark.parametrize(("dtype", "kind"), [("int16", "int16"), ("float64", "double")])
def test_other_types_are_described_as_ome_does(tmp_path: Path, dtype: str, kind: str) -> None:
    stack(tmp_path / "a.tif", dtype, 2)
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_ome
        assert (file.series[0].axes, file.series[0].dtype) == ("TCYX", np.dtype(dtype))
        assert f'Type="{kind}"' in file.ome_metadata


def test_a_microscope_keeps_its_pixel_size(tmp_path: Path) -> None:
    metadata = {"axes": "TYX", "PhysicalSizeX": 0.25, "PhysicalSizeXUnit": "µm", "TimeIncrement": 5.0}
    source = np.random.default_rng(0).integers(0, 4096, (5, 20, 30), np.uint16)
    tifffile.imwrite(tmp_path / "a.ome.tif", source, ome=True, metadata=metadata, resolution=(4e4, 4e4))
    with open_video(tmp_path / "a.ome.tif") as video:
        facts = video.facts()
    assert (facts.format, facts.dtype) == ("tiff", "uint16")
    with open_writer(tmp_path / "b.tif", "tiff", 10.0, placement=Placement(facts, 1)) as writer:
        writer.write(source[0][:, :, None])
    with tifffile.TiffFile(tmp_path / "b.tif") as file:
        assert 'PhysicalSizeX="0.25"' in file.ome_metadata
        assert file.pages[0].get_resolution() == (4e4, 4e4)
    with open_writer(tmp_path / "c.tif", "tiff", 10.0, placement=Placement(facts, 1)) as writer:
        writer.write(source[0][:10, :, None])
    with tifffile.TiffFile(tmp_path / "c.tif") as file:
        assert "PhysicalSizeX" not in file.pages[0].description


def geotiff(path: Path) -> Path:
    pixels = np.random.default_rng(1).uniform(0, 9, (16, 18)).astype(np.float32)
    pixels[:3] = -9999
    tifffile.imwrite(path, pixels, metadata=None, extratags=[*TAGS, (42112, 2, 0, METADATA, True)])
    return path


def test_a_geotiff_keeps_its_place_and_its_missing_value(tmp_path: Path) -> None:
    facts = tiff_facts(geotiff(tmp_path / "a.tif"))
    assert facts.format == "geotiff"
    frame = np.full((16, 18, 1), 4.5, np.float32)
    frame[0, 0] = np.nan
    with open_writer(tmp_path / "out", "geotiff", 10.0, names=["t1"], placement=Placement(facts)) as writer:
        writer.write(frame)
    with tifffile.TiffFile(tmp_path / "out" / "t1.tif") as file:
        tags = {tag.code: tag.value for tag in file.pages[0].tags}
        assert (tags[33550], tags[33922], tags[34735]) == (PIXEL, TIE, KEYS)
        assert tags[34737] == "WGS 84 / UTM zone 32N|"
        assert "SCALE" in tags[42112]
        assert "STATISTICS" not in tags[42112]
        assert float(tags[42113]) == -9999
        pixels = file.asarray()
    assert (pixels[0, 0], pixels[1, 1]) == (-9999, 4.5)


def test_a_frame_of_another_size_has_no_place(tmp_path: Path) -> None:
    facts = tiff_facts(geotiff(tmp_path / "a.tif"))
    with open_writer(tmp_path / "out", "geotiff", 10.0, placement=Placement(facts)) as writer:
        writer.write(np.zeros((8, 9, 1), np.float32))
    with tifffile.TiffFile(tmp_path / "out" / "frame_000001.tif") as file:
        assert not {tag.code for tag in file.pages[0].tags} & set(GEO)


def test_a_stack_that_grows_above_four_gigabytes_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("convlstm_cli.video.writers.tiff.LARGE", 1500)
    with pytest.raises(OutputError, match="above 4 GB"):
        stack(tmp_path / "a.tif", "uint8", 1)
    stack(tmp_path / "a.tif", "uint8", 1, Placement(frames=3))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        assert file.is_bigtiff
