import html
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import check_page
from made_up import PEEPHOLES, made_up_clip, made_up_summary

from convlstm_cli.evaluate import evaluate
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.reporting.charts import arm_styles
from convlstm_cli.reporting.report import (
    chance,
    duration,
    interval,
    number,
    percent,
    size,
    total,
    write_comparison_report,
    write_evaluation_report,
)
from convlstm_cli.reporting.wording import evaluation_verdict
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

LONG = "a" * 40


def test_the_reports_of_a_run_and_its_evaluation_are_whole(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    (folder / "<broken>.mp4").write_bytes(b"no video")
    data = prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)
    model = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)
    result = train(data, model, TrainConfig(max_steps=2, device="cpu"), tmp_path / "run")
    page = (tmp_path / "run" / "report.html").read_text(encoding="utf-8")
    check_page(page)
    assert "&lt;broken&gt;.mp4" in page
    assert f"{result.test.model.mean_mse:.5f}" in page
    assert len(re.findall('<svg class="chart"', page)) == 3
    for subset in ("train", "validation", "test"):
        for segment in getattr(data.split, subset):
            assert segment.video in page

    report = evaluate([result.run], config=EvaluateConfig(device="cpu", thresholds=(0.2,)))
    content = report.to_dict()
    content["worst"][0]["video"] = "<b>worst</b>"
    path = write_evaluation_report(tmp_path, content, report.worst, report.best)
    page = path.read_text(encoding="utf-8")
    check_page(page)
    verdict = evaluation_verdict(content)
    positions = [page.index(sentence.replace("<b>worst</b>", "&lt;b&gt;worst&lt;/b&gt;")) for sentence in verdict]
    assert positions == sorted(positions)
    assert positions[-1] < page.index("<h2")
    assert "CSI of at least 0.2" in page
    assert page.count('<figure class="film"') == len(report.worst) + len(report.best)
    assert number(content["skill_against"]["optical_flow"]["mean"], 3) in page


def comparison(tmp_path: Path, clips: int = 1, channels: int = 1, **changes: Any) -> tuple[dict[str, Any], str]:
    """A summary and its page."""
    summary = made_up_summary(**changes)
    json.dumps(summary, allow_nan=False)
    arms = [arm["name"] for arm in summary["arms"]]
    shown = [made_up_clip(f"clip{number}", arms, summary["horizon"], channels) for number in range(clips)]
    page = write_comparison_report(tmp_path, summary, shown).read_text(encoding="utf-8")
    check_page(page)
    return summary, page


def test_a_comparison_begins_with_its_verdict_and_has_every_part_in_order(tmp_path: Path) -> None:
    anatomy = made_up_summary()["anatomy"] | {"conclusions": ["W_cf is used most."]}
    summary, page = comparison(tmp_path, clips=3, anatomy=anatomy)
    parts = [*summary["verdict"], *summary["warnings"], 'id="differences"', 'id="lead-times"', 'id="learning"']
    parts += [
        '<figure class="film"',
        'id="anatomy"',
        "W_cf is used most.",
        "Without them",
        'id="cost"',
        'id="settings"',
        "metrics.csv",
    ]
    positions = [page.index(part) for part in parts]
    assert positions == sorted(positions)
    assert len(re.findall('<svg class="chart"', page)) == 1 + 4 + 1 + 3 + 3
    assert page.count('<figure class="film"') == 3
    assert page.count('class="map"') == 4 * 3  # layers and gates of `full`
    assert len(page.encode()) < 1_000_000
    row = html.unescape(re.sub(r"<[^>]+>", " ", page[page.index(">full</th><td>−6.00 %") :]))
    assert row.split()[1:9] == ["−6.00", "%", "−8.50", "%", "to", "−3.50", "%", "−7.25"]  # then of these trainings
    assert row.split()[9:15] == ["%", "to", "−4.75", "%", "<", "0.001"]
    for arm, style in arm_styles(list(PEEPHOLES)).items():
        assert f'stroke="{style.colour}" stroke-width="4" /></svg>{arm}</li>' in page


@pytest.mark.parametrize(
    "changes",
    [
        {"arms": ("none", LONG, "<b>x</b>", "$a$ 'b' \"c\"")},
        {"seeds": 1, "intervals": False, "leads": 1},
        {"channels": 3, "videos": 40, "kind": "recorded", "match": None},
        {"anatomy": None, "arms": ("none", "channel"), "warnings": []},
    ],
    ids=["names", "least", "recorded", "no anatomy"],
)
def test_every_kind_of_comparison_has_a_page(tmp_path: Path, changes: dict[str, Any]) -> None:
    summary, page = comparison(tmp_path, **changes)
    assert "<b>x" not in page
    assert ("no interval" in page) is (changes.get("intervals") is False)
    assert ('id="anatomy"' in page) is (summary["anatomy"] is not None)
    assert ("that were there before" in page) is (summary["kind"] == "recorded")
    assert page.count(".mkv</td>") == len(summary["videos"])
    assert ('aria-label="warnings"' in page) is bool(summary["warnings"])
    assert page.count('class="map"') == (
        0 if summary["anatomy"] is None else sum(row["map"] is not None for row in summary["anatomy"]["peepholes"])
    )


def test_names_from_files_are_text(tmp_path: Path) -> None:
    summary = made_up_summary()
    summary["videos"][0]["video"] = "<i>y</i>.mp4"
    page = write_comparison_report(tmp_path, summary, [made_up_clip("<b>x</b>.mp4")]).read_text(encoding="utf-8")
    check_page(page)
    assert "<b>x" not in page
    assert "<i>y" not in page
    assert "&lt;b&gt;x&lt;/b&gt;.mp4 from frame 11" in page
    assert "&lt;i&gt;y&lt;/i&gt;.mp4" in page


def test_numbers_have_true_minus_signs_and_missing_ones_are_dashes() -> None:
    assert (number(-0.5, 1), number(None), number(None, 2, "∞")) == ("−0.5", "-", "∞")
    assert (percent(-0.0312), percent(0.5, 0), percent(None)) == ("−3.12 %", "+50 %", "-")
    assert interval([-0.1, None], number, 2, "∞") == "−0.10 to ∞"
    assert interval(None) == "no interval"
    assert (chance(0.0004), chance(0.04), chance(None)) == ("< 0.001", "0.040", "-")
    assert (size(123_456_789), size(4.2e9), size(None)) == ("123.5 MB", "4.2 GB", "-")
    assert (duration(0.21), duration(61.2), duration(600), duration(None)) == ("210 ms", "61.2 s", "10.0 min", "-")
    assert (total([{"a": 1.0}, {"a": 2.0}], "a"), total([{"a": 1.0}, {"a": None}], "a")) == (3.0, None)
