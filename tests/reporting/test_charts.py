import re
import xml.etree.ElementTree as ET

import pytest

from convlstm_cli.reporting.bar_charts import Bars, dotted_bars, quantile_bars, two_sided_bars
from convlstm_cli.reporting.drawing import INK
from convlstm_cli.reporting.forest_chart import forest_chart
from convlstm_cli.reporting.heat_map import heat_map
from convlstm_cli.reporting.line_charts import (
    Line,
    curves_chart,
    line_chart,
    rank_chart,
    reliability_diagram,
    spectrum_chart,
)
from convlstm_cli.reporting.styles import arm_styles, system_styles

STYLE = system_styles()["model"]


def texts(svg: str) -> list[str]:
    return [element.text or "" for element in ET.fromstring(svg).iter() if element.tag.endswith("text")]


def test_a_chart_takes_the_ink_of_its_page_and_is_read_aloud() -> None:
    svg = line_chart('the "alt" <text>', [Line([1.0, 2.0], STYLE)], "time", "error")
    root = ET.fromstring(svg)
    assert root.get("aria-label") == 'the "alt" <text>'
    assert root.get("width") is None  # it scales
    assert "currentColor" in svg
    assert INK not in svg
    assert "<style" not in svg  # which would count for the whole page
    assert {"time", "error"} <= set(texts(svg))


def test_charts_on_a_page_share_no_id() -> None:
    first, second = (line_chart("", [Line([1.0, last], STYLE)], "", "") for last in (2.0, 3.0))
    ids = [set(re.findall(r' id="([^"]+)"', svg)) for svg in (first, second)]
    assert ids[0]
    assert not ids[0] & ids[1]
    for svg, mine in zip((first, second), ids, strict=True):
        assert set(re.findall(r"#(c[^\")]+)", svg)) == mine
    assert first == line_chart("", [Line([1.0, 2.0], STYLE)], "", "")


@pytest.mark.parametrize("name", ["<b>x</b>", "a$b$c", "風" * 3, "a" * 40])
def test_any_name_is_text(name: str) -> None:
    svg = forest_chart("", {name: Line([0.1], STYLE, interval=[[0.0, 0.2]])}, "difference")
    assert name in "".join(texts(svg))


def test_a_line_has_gaps_where_there_is_no_number() -> None:
    def moves(values: list[float | None]) -> int:
        svg = line_chart("", [Line(values, system_styles()["persistence"])], "", "")
        [path] = re.findall(r'<path d="([^"]+)"[^>]*stroke-dasharray', svg)
        return str(path).count("M")

    assert moves([1.0, 2.0, 3.0, 4.0, 5.0]) == 1
    assert moves([1.0, 2.0, None, 4.0, 5.0]) == 2


def test_missing_ends_of_intervals_and_single_values_are_drawn_around() -> None:
    gap = line_chart("", [Line([None, 0.5], STYLE, interval=[None, [None, 0.7]])], "", "", zero="line", percent=True)
    assert len({x for x, _ in markers(gap) if x > 0}) == 1  # of two values; shading lies at x = 0
    single = line_chart("", [Line([0.5], STYLE, interval=[[0.4, 0.6]], solid=[True])], "", "", zero="bottom")
    assert len({x for x, _ in markers(single) if x > 0}) == 1
    rows = forest_chart("", {"a": Line([None], STYLE), "b": Line([0.0], STYLE)}, "")
    assert {"a", "b"} <= set(texts(rows))
    assert len(markers(rows)) == 1
    assert markers(curves_chart("", [], "steps", "error")) == []


def markers(svg: str) -> list[tuple[float, float]]:
    """Where the markers of a chart's lines are drawn."""
    drawn = re.findall(r'<use xlink:href="[^"]+" x="([\d.]+)" y="([\d.]+)" style="fill: #', svg)
    return [(float(x), float(y)) for x, y in drawn]


@pytest.mark.parametrize("width", [0.9, 1.5])
def test_a_curve_of_one_point_is_a_marker_that_can_be_seen(width: float) -> None:
    """A line alone would show nothing where each run has one validation."""
    styles = arm_styles(["a", "b"])
    lines = [Line([value], styles[arm], at=[300], width=width) for arm, value in (("a", 0.012), ("b", 0.011))]
    svg = curves_chart("", lines, "steps", "error")
    assert len(set(markers(svg))) == 2
    assert 'd="M 0 2.25' in svg  # a circle of 4.5 points


def test_values_between_gaps_are_markers_and_those_of_thin_lines_are_not() -> None:
    alone = curves_chart("", [Line([1.0, None, 2.0, 3.0, None, 4.0], STYLE, width=0.9)], "", "")
    assert len(markers(alone)) == 2
    assert markers(curves_chart("", [Line([1.0, 2.0, 3.0], STYLE, width=0.9)], "", "")) == []


def test_curves_that_fall_far_have_a_logarithmic_axis() -> None:
    far = texts(curves_chart("", [Line([1.0, 0.1, 0.01], STYLE)], "", ""))
    near = texts(curves_chart("", [Line([0.03, 0.02, 0.02], STYLE)], "", ""))
    assert {"0.01", "0.1", "1"} <= set(far)
    assert "0.1" not in near


def test_bars_of_arms_have_rows_and_shares() -> None:
    bars = [Bars(style, [(0.1, [0.05, 0.15]), None]) for style in arm_styles(["a", "b"]).values()]
    svg = dotted_bars("", ["W_ci", "W_cf"], bars, "rise")
    assert {"W_ci", "W_cf", "rise", "0 %"} <= set(texts(svg))
    assert svg.count("<use") >= 4  # the dots
    sides = texts(two_sided_bars("", ["layer"], [Bars(STYLE, [(0.2, 0.1)])], "shares", 0.2))
    assert sides.count("20 %") == 2  # of both signs without one
    assert "0.5" in "".join(
        texts(quantile_bars("", ["layer"], [Bars(STYLE, [[-0.5, -0.2, 0, 0, 0, 0.2, 0.5]])], "w", 0.5))
    )


def test_a_heat_map_is_symmetric_about_white() -> None:
    [[low, middle, high]] = heat_map([[-2.0, 0.0, 2.0]], 2.0).astype(int).tolist()
    assert min(middle) > 240
    assert low[2] > low[0]  # blue
    assert high[0] > high[2]  # red


def test_a_spectrum_runs_from_long_to_short_wavelengths_on_logarithmic_axes() -> None:
    wavelengths = [16.0, 8.0, 4.0, 2.0]
    svg = spectrum_chart("", [Line([1.0, 1e-2, 0.0, 1e-6], STYLE, at=wavelengths)], "wavelength", "power")
    places = {element.text: float(element.get("x") or 0) for element in ET.fromstring(svg).iter() if element.text}
    assert places["16"] < places["8"] < places["4"] < places["2"]
    assert places["8"] - places["16"] == pytest.approx(places["2"] - places["4"], rel=0.01)
    assert {"10⁻⁶", "10⁰"} <= set(places)


@pytest.mark.parametrize("values", [[0.0, 0.0], [None, None]])
def test_a_spectrum_without_any_power_is_drawn(values: list[float | None]) -> None:
    assert "<svg" in spectrum_chart("", [Line(values, STYLE, at=[4.0, 2.0])], "wavelength", "power")


def test_ranks_are_bars_beside_lines_and_frequencies_lie_about_the_diagonal() -> None:
    even, missing = Line([0.5, 0.5], STYLE, at=range(2)), Line([None, None], STYLE, at=range(2))
    for bars in (even, missing):
        root = ET.fromstring(rank_chart("ranks", bars, [even], "members below", "share"))
        assert root.attrib["aria-label"] == "ranks"
    svg = reliability_diagram("diagram", [Line([0.1, 0.8], STYLE, at=[0.0, 1.0])], "share", "frequency")
    assert svg.count("<path") > 2
    ET.fromstring(svg)
