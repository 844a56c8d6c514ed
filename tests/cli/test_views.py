"""What the tables and sentences of an evaluation say, from results made up for it."""

import io
import json
from typing import Any

import pytest
from rich.console import Console

from convlstm_cli.cli.views import evaluation_view
from convlstm_cli.cli.views import test_view as view_of_test


def scores(mse: list[float]) -> dict[str, Any]:
    by_lead = dict.fromkeys(("mse", "mae", "psnr", "ssim", "sharpness"), mse)
    by_lead["mse_sum"] = [value * 3072 for value in mse]
    event = {
        "threshold": 0.2,
        "by_lead_time": {"csi": [None, *mse[1:]]},
        "mean": {"csi": 0.5, "pod": None, "far": 0.25},
    }
    means = {name: sum(values) / len(values) for name, values in by_lead.items()}
    return {"clips": 4, "by_lead_time": by_lead, "mean": means, "events": [event]}


def result(model: list[float], videos: int = 30, **changes: Any) -> dict[str, Any]:
    """A model against baselines of MSE 0.02 and, optical flow, 0.01 at every lead time."""
    systems = {
        "model": scores(model),
        "persistence": scores([0.02] * len(model)),
        "linear_trend": scores([0.02] * len(model)),
        "optical_flow": scores([0.01] * len(model)),
    }
    mean = sum(model) / len(model)
    skills = {
        name: {"mean": 1 - mean / systems[name]["mean"]["mse"], "interval": [0.2, 0.4]}
        for name in ("persistence", "linear_trend", "optical_flow")
    }
    return {
        **systems,
        "clips": 4,
        "height": 32,
        "width": 32,
        "channels": 3,
        "videos": [{}] * videos,
        "settings": {"thresholds": [0.2]},
        "skill_against": skills,
        "interval": {"level": 0.95, "resamples": 2000, "missing": None},
        "spread_skill": None,
        "worst": [{"video": "bad.mkv", "first_frame": 11}],
        "best": [{"video": "good.mkv", "first_frame": 1}],
        "definitions": {"ssim": "", "sharpness": ""},
        **changes,
    }


def text(view: Any, width: int = 100) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    for part in view:
        console.print(part, soft_wrap=isinstance(part, str), markup=not isinstance(part, str), highlight=False)
    return console.export_text()


def test_a_forecast_that_is_better_everywhere() -> None:
    shown = text(evaluation_view(result([0.005] * 3)))
    assert "better than optical flow: 0.50 times its MSE, at every lead time." in shown
    assert "WORSE" not in shown
    assert "rough guess" not in shown
    assert "worst clip is that of bad.mkv from frame 11" in shown
    assert "3072 values of a frame" in shown


def test_a_forecast_that_is_worse_says_so_and_where() -> None:
    shown = text(evaluation_view(result([0.005, 0.03, 0.03, 0.005, 0.03])))
    assert "WORSE than optical flow: 2.00 times its MSE, at lead times 2 to 3, 5 of 5." in shown
    assert "WORSE than copying the last frame: 1.00" not in shown
    assert "as good as" in shown or "better than copying the last frame" in shown


def test_better_over_all_but_worse_at_some_lead_times() -> None:
    shown = text(evaluation_view(result([0.001, 0.001, 0.015])))
    assert "better than optical flow: 0.57 times its MSE, but worse at lead times 3 of 3." in shown


def test_what_the_videos_do_not_settle() -> None:
    found = result([0.005] * 2, videos=4)
    found["skill_against"]["optical_flow"]["interval"] = [-0.1, 0.6]
    shown = text(evaluation_view(found))
    assert "holds 0 against optical flow: 4 videos do not settle" in shown
    assert "rough guess" in shown
    assert "-0.100 to 0.600" in shown


def test_no_interval_has_its_reason() -> None:
    found = result([0.005] * 2, videos=1, interval={"level": 0.95, "resamples": 2000, "missing": "a single video"})
    for skill in found["skill_against"].values():
        skill["interval"] = None
    shown = text(evaluation_view(found))
    assert "There is no interval: a single video." in shown


def test_everything_fits_a_terminal_and_undefined_is_a_dash() -> None:
    found = result([0.005] * 3, spread_skill={"members": 3, "by_lead_time": [0.5, None, 1.0]})
    shown = text(evaluation_view(found))
    assert max(map(len, shown.splitlines())) <= 100
    assert "…" not in shown
    assert "3 members" in shown
    assert {("1", "0.50"), ("2", "-"), ("3", "1.00")} <= {tuple(line.split()) for line in shown.splitlines()}
    assert any(line.split()[:2] == ["1", "-"] for line in shown.splitlines())  # no event at the first lead time
    for heading in ("MSE sum", "MAE", "PSNR dB", "SSIM", "sharpness", "CSI", "all POD", "all FAR"):
        assert heading in shown


def test_many_lead_times_are_thinned_out() -> None:
    lines = text(evaluation_view(result([0.005] * 100))).splitlines()
    shown = [int(line.split()[0]) for line in lines if line.split()[:1] and line.split()[0].isdigit()][1:]
    first = shown[: shown.index(100) + 1]
    assert first[0] == 1
    assert first == sorted(set(first))
    assert len(first) == 20


@pytest.mark.parametrize("old", [True, False])
def test_a_test_shows_every_baseline_that_it_has(old: bool) -> None:
    """Runs of before there were others have persistence only."""
    test = json.loads(json.dumps(result([0.005] * 3)))
    if old:
        del test["linear_trend"], test["optical_flow"]
    shown = text(view_of_test(test))
    assert "0.25 times that of copying the last frame (0.02000)" in shown
    assert ("0.50 times that of optical flow (0.01000)" in shown) is not old
    assert ("trend" in shown) is not old


def test_small_errors_are_shown_with_two_digits() -> None:
    tiny = {name: scores([4e-6, 4e-6]) for name in ("model", "persistence")}
    assert "0.0000040" in text(view_of_test(tiny))
