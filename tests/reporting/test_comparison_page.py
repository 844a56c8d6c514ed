import html
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from helpers import check_page
from made_up import PEEPHOLES, made_up_clip, made_up_summary

from convlstm_cli.reporting.comparison_page import write_comparison_report
from convlstm_cli.reporting.styles import arm_styles
from convlstm_cli.scoring.comparison_result import ComparisonSummary
from convlstm_cli.video.painting import Painter
from convlstm_cli.video.values import ValueRange

LONG = "a" * 40


def comparison(tmp_path: Path, clips: int = 1, channels: int = 1, **changes: Any) -> tuple[ComparisonSummary, str]:
    """A summary and its page."""
    summary = made_up_summary(**changes)
    json.dumps(summary.to_dict(), allow_nan=False)
    arms = [arm.name for arm in summary.arms]
    shown = [made_up_clip(f"clip{number}", arms, summary.horizon, channels) for number in range(clips)]
    page = write_comparison_report(tmp_path, summary, shown).read_text(encoding="utf-8")
    check_page(page)
    return summary, page


def test_a_comparison_begins_with_its_verdict_and_has_every_part_in_order(tmp_path: Path) -> None:
    summary, page = comparison(tmp_path, clips=3)
    assert "colour bar" not in page
    parts = [*summary.verdict, *summary.warnings, 'id="differences"', 'id="lead-times"', 'id="learning"']
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
        {"arms": ("none", "channel"), "warnings": []},
    ],
    ids=["names", "least", "recorded", "no warnings"],
)
def test_every_kind_of_comparison_has_a_page(tmp_path: Path, changes: dict[str, Any]) -> None:
    summary, page = comparison(tmp_path, **changes)
    assert "<b>x" not in page
    assert ("no interval" in page) is (changes.get("intervals") is False)
    assert ("existing runs, not retrained" in page) is (summary.kind == "recorded")
    assert page.count(".mkv</td>") == len(summary.videos)
    assert ('aria-label="warnings"' in page) is bool(summary.warnings)
    assert page.count('class="map"') == sum(row.map is not None for row in summary.anatomy.peepholes)


def test_names_from_files_are_text(tmp_path: Path) -> None:
    summary = made_up_summary()
    summary = replace(summary, videos=[replace(summary.videos[0], video="<i>y</i>.mp4"), *summary.videos[1:]])
    page = write_comparison_report(tmp_path, summary, [made_up_clip("<b>x</b>.mp4")]).read_text(encoding="utf-8")
    check_page(page)
    assert "<b>x" not in page
    assert "<i>y" not in page
    assert "&lt;b&gt;x&lt;/b&gt;.mp4 from frame 11" in page
    assert "&lt;i&gt;y&lt;/i&gt;.mp4" in page


def test_a_colour_bar_says_what_colours_mean(tmp_path: Path) -> None:
    summary, clips = made_up_summary(), [made_up_clip()]
    painter = Painter(ValueRange(-10.0, 60.0, "dBZ"), "magma")
    page = write_comparison_report(tmp_path, summary, clips, painter).read_text(encoding="utf-8")
    check_page(page)
    assert page.count('alt="colour bar: -10 to 60 dBZ"') == 1
