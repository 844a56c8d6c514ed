"""GDAL's metadata of bands: their scales, and the metadata of fewer bands or of several files."""

import pytest

from convlstm_cli.video.gdal_metadata import Scaling, band_names, in_common, of_bands, scaling_of, without


def item(name: str, value: str, band: int | None = None, role: str = "") -> str:
    where = "" if band is None else f' sample="{band}"'
    return f'  <Item name="{name}"{where}{f" role={chr(34)}{role}{chr(34)}" if role else ""}>{value}</Item>\n'


def metadata(*items: str) -> str:
    return f"<GDALMetadata>\n{''.join(items)}</GDALMetadata>\n"


def scaled(band: int, scale: str, offset: str = "0", unit: str = "K") -> str:
    return (
        item("SCALE", scale, band, "scale")
        + item("OFFSET", offset, band, "offset")
        + item("UNITTYPE", unit, band, "unittype")
    )


@pytest.mark.parametrize(
    ("text", "bands", "expected"),
    [
        ("", 2, Scaling()),
        (metadata(scaled(0, "0.02", "-273.15")), 1, Scaling(0.02, -273.15, "K")),
        (metadata(scaled(0, "0.5"), scaled(1, "0.5", unit="%")), 2, Scaling(0.5, 0.0, "")),
        (metadata(scaled(0, "0.5"), scaled(1, "0.1")), 2, Scaling(alike=False)),
        (metadata(scaled(0, "0.5")), 2, Scaling(alike=False)),
        (metadata(scaled(0, "0")), 1, Scaling(alike=False)),
        (metadata(scaled(0, "none")), 1, Scaling(alike=False)),
        (metadata(item("SCALE", "0.5", 0), item("scale", "9")), 1, Scaling()),  # not what GDAL scales by
    ],
)
def test_numbers_are_scaled_as_gdal_says(text: str, bands: int, expected: Scaling) -> None:
    assert scaling_of(text, range(bands)) == expected


def test_the_metadata_of_chosen_bands_are_theirs() -> None:
    text = metadata(item("AREA", "x"), item("DESCRIPTION", "u", 0), item("DESCRIPTION", "v &amp; w", 1))
    assert band_names(text) == {0: "u", 1: "v & w"}
    assert of_bands(text, [1]) == metadata(item("AREA", "x"), item("DESCRIPTION", "v &amp; w", 0))
    assert band_names(of_bands(text, [1, 0])) == {0: "v & w", 1: "u"}


def test_items_are_left_out() -> None:
    text = metadata(item("STATISTICS_MEAN", "3", 0), scaled(0, "0.1"))
    assert without(text, lambda name, _: name.startswith("STATISTICS")) == metadata(scaled(0, "0.1"))
    assert "SCALE" not in without(text, lambda _, role: role == "scale")
    assert in_common(text, metadata(item("STATISTICS_MEAN", "4", 0), scaled(0, "0.1"))) == metadata(scaled(0, "0.1"))
