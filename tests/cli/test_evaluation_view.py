"""What the tables and sentences of an evaluation say, from results made up for it."""

import io
import json
import re
from typing import Any

import pytest
from made_up_evaluation import made_up_report
from rich.console import Console

from convlstm_cli.cli.evaluation_view import evaluation_view
from convlstm_cli.cli.score_tables import scores_view
from convlstm_cli.video.values import ValueRange


def text(view: Any, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    for part in view:
        console.print(part, soft_wrap=isinstance(part, str), markup=not isinstance(part, str), highlight=False)
    return console.export_text()


def test_a_verdict_and_what_it_rests_on() -> None:
    shown = text(evaluation_view(made_up_report([0.005] * 3)))
    assert "better than optical flow: 0.50 times its MSE, at every lead time." in shown
    assert "30 clips of 30 videos, at 32x32 pixels in colour" in shown
    assert "worst clip is that of bad.mkv from frame 11" in shown
    assert "3072 values of a frame" in shown


def test_intervals_are_shown_and_missing_ones_are_none() -> None:
    shown = text(evaluation_view(made_up_report([0.005] * 2, videos=4, interval=(-0.1, 0.6))))
    assert "−0.100 to 0.600" in shown
    shown = text(evaluation_view(made_up_report([0.005] * 2, videos=1, interval=None)))
    assert re.search(r"optical flow +0.500 +none +0.500 +none", shown)


def test_everything_fits_a_terminal_and_undefined_is_a_dash() -> None:
    shown = text(evaluation_view(made_up_report([0.005, 0.0, 0.005], spread=[0.005 * 3 / 16, 0.0, 0.005 * 3 / 4])))
    tables = [line for line in shown.splitlines() if not line.endswith(".")]  # sentences wrap
    assert max(map(len, tables)) <= 100
    assert "…" not in shown
    assert "3 members" in shown
    assert {("1", "0.50"), ("2", "-"), ("3", "1.00")} <= {tuple(line.split()) for line in shown.splitlines()}
    assert any(line.split() == ["all", "CSI", "-", "-", "-", "-"] for line in shown.splitlines())  # no event at all
    for heading in ("MSE sum", "MAE", "PSNR dB", "SSIM", "sharpness", "CSI", "all POD", "all FAR"):
        assert heading in shown


def test_errors_are_shown_with_their_unit() -> None:
    report = made_up_report([0.005] * 2, values=ValueRange(0.0, 80.0, "mm/h"))
    shown = text(evaluation_view(report))
    assert "(mm/h)²" in shown
    assert re.search(r"1 +32.0000 +128.0000 +128.0000 +64.0000", shown)
    assert "5 mm/h" in shown
    assert "Values are 0 to 80 mm/h, and errors in their unit." in shown
    assert "MSE 32.0000 (mm/h)², 0.25 times" in text(scores_view(report.evaluation.to_dict()))


def test_many_lead_times_are_thinned_out() -> None:
    lines = text(evaluation_view(made_up_report([0.005] * 100, videos=2))).splitlines()
    shown = [int(line.split()[0]) for line in lines if line.split()[:1] and line.split()[0].isdigit()][1:]
    first = shown[: shown.index(100) + 1]
    assert first[0] == 1
    assert first == sorted(set(first))
    assert len(first) == 20


@pytest.mark.parametrize("old", [True, False])
def test_a_test_shows_every_baseline_that_it_has(old: bool) -> None:
    """Runs of before there were others have persistence only."""
    test = json.loads(json.dumps(made_up_report([0.005] * 3).evaluation.to_dict()))
    if old:
        del test["linear_trend"], test["optical_flow"]
    shown = text(scores_view(test))
    assert "0.25 times that of copying the last frame (0.02000)" in shown
    assert ("0.50 times that of optical flow (0.01000)" in shown) is not old
    assert ("trend" in shown) is not old


def test_small_errors_are_shown_with_two_digits() -> None:
    assert "0.0000040" in text(scores_view(made_up_report([4e-6, 4e-6]).evaluation.to_dict()))
