"""What a source says beside its pixels."""

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from convlstm_cli.video.source import SourceFacts, TimeAxis, Variable


def axis(values: Any, dtype: str = "int64", unit_seconds: float | None = 60.0) -> TimeAxis:
    return TimeAxis(Variable("time", ("time",), np.array(values, dtype)), unit_seconds)


def ticks(axis: TimeAxis, seconds: list[float] | None, first: int = 0, count: int = 2) -> npt.NDArray[Any]:
    found = axis.at(seconds, first, count)
    assert found is not None
    return found


def test_times_go_on_in_the_unit_and_the_type_of_the_source() -> None:
    found = ticks(axis([100, 105, 110]), [900.0, 1200.0])
    assert (found.dtype.name, found.tolist()) == ("int64", [115, 120])
    found = ticks(axis([100, 105, 110]), [630.0, 660.0])
    assert (found.dtype.name, found.tolist()) == ("float64", [110.5, 111.0])


def test_a_frame_that_the_source_holds_has_its_time_bit_for_bit() -> None:
    days = [45000 + k * 5 / 1440 for k in range(4)]
    found = ticks(axis(days, "float64", 86400.0), [300.0004, 600.0, 900.0, 1200.0], count=4)
    assert found[:3].tolist() == days[1:]
    assert found[3] == pytest.approx(45000 + 20 / 1440)
    uneven = ticks(axis([0, 4, 11, 15]), [240.0, 660.0])
    assert uneven.tolist() == [4, 11]


def test_one_frame_is_enough_to_go_on_from() -> None:
    assert ticks(axis([100]), [300.0], count=1).tolist() == [105]


def test_numbers_go_on_as_they_rose() -> None:
    counted = axis([10, 20, 30], unit_seconds=None)
    assert ticks(counted, None, first=2, count=3).tolist() == [30, 40, 50]
    assert axis([10, 20, 35], unit_seconds=None).at(None, 3, 2) is None
    assert axis([10], unit_seconds=None).at(None, 1, 2) is None
    assert axis([100, 105]).at(None, 2, 2) is None


def facts() -> SourceFacts:
    variables = (
        Variable("y", ("y",), np.arange(4)),
        Variable("band", ("band",), np.array(["red", "green", "ir"], object)),
        Variable("number", ("number",), np.array([7, 8])),
        Variable("step", ("step",), np.array([0, 6, 12])),
        Variable("lat", ("y", "x"), np.zeros((4, 5))),
    )
    return SourceFacts(dims=("number", "step", "band", "y", "x"), variables=variables)


def test_one_of_several_sequences_keeps_its_number() -> None:
    laid = facts().laid_out("NTCHW", (2, 3, 3, 4, 5), 1)
    assert (laid.axes, laid.dims, laid.size, laid.channels) == ("TCHW", ("step", "band", "y", "x"), (4, 5), 3)
    by_name = {each.name: each for each in laid.variables}
    assert (by_name["number"].dims, int(by_name["number"].values)) == ((), 8)
    assert laid.attributes["coordinates"] == "number"
    assert "step" not in by_name
    assert laid.time is not None
    assert laid.time.variable.values.tolist() == [0, 6, 12]


def test_some_channels_keep_their_names() -> None:
    chosen = facts().laid_out("NTCHW", (2, 3, 3, 4, 5), 0).of_channels([2, 0])
    assert chosen.channels == 2
    assert next(each for each in chosen.variables if each.name == "band").values.tolist() == ["ir", "red"]


def test_axes_without_names_get_the_usual_ones() -> None:
    laid = SourceFacts().laid_out("_T_HW", (1, 3, 1, 4, 5), 0)
    assert laid.dims == ("one", "time", "one2", "y", "x")
