"""How frames become an array of a file with named axes."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest

from convlstm_cli.video.packing import Packing
from convlstm_cli.video.source import Placement, SourceFacts, Variable
from convlstm_cli.video.writers.arrangement import arrange

ATTRIBUTES = {
    "units": "dBZ", "scale_factor": 0.5, "_FillValue": 255, "valid_max": 200, "grid_mapping": "crs: y x",
    "coordinates": "lat gone", "ancillary_variables": "quality", "long_name": "reflectivity",
}  # fmt: skip
SOURCE = SourceFacts(
    "netcdf",
    "radar/dbz",
    "uint8",
    Packing("dBZ", 0.5, -32.0, (255.0,)),
    "_HWT",
    ("level", "y", "x", "time"),
    (4, 5),
    1,
    ATTRIBUTES,
    (
        Variable("y", ("y",), np.arange(4)),
        Variable("lat", ("y", "x"), np.zeros((4, 5))),
        Variable("crs", (), np.array(0)),
        Variable("level", ("level",), np.array([500.0])),
    ),
)


def test_axes_types_and_attributes_are_those_of_the_source() -> None:
    made = arrange(Placement(SOURCE), (4, 5, 1), "float32", {})
    assert (made.group, made.name, made.axes, made.shape) == ("radar", "dbz", "_HWT", (1, 4, 5, 1))
    assert (made.dtype.name, made.fill) == ("uint8", 255)
    assert made.attributes == {
        "units": "dBZ", "scale_factor": 0.5, "valid_max": 200, "grid_mapping": "crs: y", "coordinates": "lat",
        "long_name": "reflectivity",
    }  # fmt: skip
    frame = np.arange(20, dtype=np.float32).reshape(4, 5, 1)
    frame[0, 0] = np.nan
    expected = (frame + 32) * 2
    expected[0, 0] = 255
    np.testing.assert_array_equal(made.stored(frame)[0], expected)


def test_another_size_has_no_coordinates() -> None:
    made = arrange(Placement(SOURCE), (4, 6, 1), "float32", {})
    assert [each.name for each in made.variables] == ["crs", "level"]
    assert "coordinates" not in made.attributes


def test_gaps_that_integers_cannot_hold_make_floats() -> None:
    source = replace(SOURCE, packing=replace(SOURCE.packing, missing=()))
    made = arrange(Placement(source, missing=-99.0, unit="dBZ"), (4, 5, 1), "float32", {})
    assert made.dtype == np.float32
    assert np.isnan(made.fill)
    assert not {"scale_factor", "valid_max"} & made.attributes.keys()


@pytest.mark.parametrize("channels", [1, 3])
def test_a_source_that_says_nothing(channels: int) -> None:
    placement = Placement(seconds=(300.0, 600.0), start=datetime(2024, 5, 1, 12), unit="K")
    made = arrange(placement, (4, 5, channels), "bool", {"bool": "int8"})
    assert made.dims == ("time", "y", "x", "channel")[: 3 + (channels > 1)]
    assert (made.dtype.name, made.attributes) == ("int8", {"units": "K", "dtype": "bool"})
    times = made.times(2)
    assert times is not None
    assert (times.values.tolist(), times.attributes["units"]) == ([300, 600], "seconds since 2024-05-01 12:00:00")
    assert made.times(3) is None


def test_a_colour_source_that_is_forecast_in_grey_has_one_channel_without_a_name() -> None:
    named = Variable("band", ("band",), np.array([1, 2, 3]))
    source = SourceFacts(axes="TCHW", dims=("time", "band", "y", "x"), channels=3, size=(4, 5), variables=(named,))
    made = arrange(Placement(source), (4, 5, 1), "uint8", {})
    assert (made.shape, made.variables) == ((1, 1, 4, 5), ())
