import re

import pytest
from made_up_evaluation import made_up_report

from convlstm_cli.reporting.page import lead_chart, legend, score_group
from convlstm_cli.reporting.styles import Style, system_labels, system_styles
from convlstm_cli.scoring.metrics import EVENT_METRICS, METRICS
from convlstm_cli.scoring.scores import PooledScores

SYSTEMS = made_up_report([0.005, 0.012]).evaluation.pooled()


def test_a_table_has_a_column_for_each_system() -> None:
    group = score_group(SYSTEMS, METRICS["mse"], system_labels())
    assert (group.heading, group.digits, group.missing) == ("MSE", 5, "-")
    assert [column.label for column in group.columns] == [system_labels()[name] for name in SYSTEMS]
    assert group.columns[0].by_lead_time == pytest.approx([0.005, 0.012])
    assert group.columns[0].mean == pytest.approx(0.0085)
    assert all(column.intervals is None for column in group.columns)


def test_a_table_has_intervals_and_a_heading_where_they_are_given() -> None:
    events = {name: scores.events[0] for name, scores in SYSTEMS.items()}
    ends = [[0.1, 0.2], None]
    group = score_group(
        events, EVENT_METRICS["csi"], system_labels(), heading="CSI of 0.2", intervals={"model": {"csi": ends}}
    )
    assert group.heading == "CSI of 0.2"
    assert [column.intervals for column in group.columns] == [ends, None, None, None]


def test_a_chart_has_a_line_for_each_system() -> None:
    svg = lead_chart(SYSTEMS, METRICS["mse"])
    assert all(f"stroke: {system_styles()[name].colour}" in svg for name in SYSTEMS)


@pytest.mark.parametrize(("metric", "at_zero"), [("mse", True), ("sharpness", True), ("ssim", False)])
def test_the_axis_begins_at_a_lower_bound_of_zero(metric: str, at_zero: bool) -> None:
    values = [0.8, 0.9]
    svg = lead_chart({"model": PooledScores(1, {metric: [*values]}, {metric: 0.85})}, METRICS[metric])
    ticks = [float(tick) for tick in re.findall(r">(\d\.\d+)</text>", svg)]
    assert (min(ticks) == 0) == at_zero


def test_a_legend_has_the_systems_that_have_a_style() -> None:
    [(label, swatch)] = legend(system_labels(), {"model": Style("#123456")})
    assert label == "forecast"
    assert "#123456" in swatch
