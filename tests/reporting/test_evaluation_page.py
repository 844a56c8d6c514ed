import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from helpers import check_page
from made_up_evaluation import made_up_report

from convlstm_cli.reporting.evaluation_page import write_evaluation_report
from convlstm_cli.reporting.wording import evaluation_verdict
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.metrics import METRICS
from convlstm_cli.video.values import ValueRange


def test_an_evaluation_begins_with_its_verdict_and_has_every_metric(tmp_path: Path) -> None:
    report = made_up_report([0.005, 0.012])
    page = write_evaluation_report(tmp_path, report).read_text(encoding="utf-8")
    check_page(page)
    positions = [page.index(sentence) for sentence in evaluation_verdict(report)]
    assert positions == sorted(positions)
    assert positions[-1] < page.index("<h2")
    headings = re.findall("<h3>(.*?)</h3>", page)
    assert headings == [m.heading for m in METRICS.values() if m.tabulated] + ["CSI of at least 0.2"]
    assert len(re.findall('<svg class="chart"', page)) == sum(bool(m.panel) for m in METRICS.values()) + 1
    assert page.count('<figure class="film"') == len(report.worst) + len(report.best)
    rows = dict(re.findall(r'<tr><th scope="row">([^<]+)</th><td>([^<]+)</td>\n<td>0.200 to 0.400', page))
    assert rows == {baseline.phrase: rows[baseline.phrase] for baseline in BASELINES.values()}
    assert rows["optical flow"] == "0.150"  # 1 - 0.0085 / 0.01


def test_names_from_files_are_text(tmp_path: Path) -> None:
    report = made_up_report([0.005])
    report = replace(report, worst=(replace(report.worst[0], video="<b>worst</b>"),), left_out=("<i>left</i>",))
    page = write_evaluation_report(tmp_path, report).read_text(encoding="utf-8")
    check_page(page)
    assert "&lt;b&gt;worst&lt;/b&gt; from frame 11" in page
    assert "&lt;i&gt;left&lt;/i&gt;" in page
    assert "<b>worst" not in page


@pytest.mark.parametrize("spread", [None, [0.001, 0.002]])
def test_an_ensemble_has_its_spread_over_error(tmp_path: Path, spread: list[float] | None) -> None:
    page = write_evaluation_report(tmp_path, made_up_report([0.005, 0.005], spread=spread)).read_text(encoding="utf-8")
    check_page(page)
    assert ("<h3>spread over error</h3>" in page) == (spread is not None)
    assert ("3 possible futures" in page) == (spread is not None)
    for chart in ("CRPS by lead time", "spread over error by lead time", "rank histogram", "reliability diagram"):
        assert (f'aria-label="{chart}' in page) == (spread is not None)
    assert ("evaluation of an ensemble" in page) == (spread is not None)


def test_a_single_video_has_no_interval(tmp_path: Path) -> None:
    page = write_evaluation_report(tmp_path, made_up_report([0.005], videos=1, interval=None)).read_text("utf-8")
    check_page(page)
    assert "no interval" in page


def test_a_colour_bar_says_what_colours_mean(tmp_path: Path) -> None:
    report = made_up_report([0.005])
    assert "colour bar" not in write_evaluation_report(tmp_path, report).read_text(encoding="utf-8")
    rows = {name: frames[:, :1].clone() for name, frames in report.worst[0].rows.items()}
    rows["truth"][:, :, :9] = torch.nan
    report = replace(
        report, worst=(replace(report.worst[0], rows=rows),), values=ValueRange(0.0, 80.0, "mm/h", log=True)
    )
    page = write_evaluation_report(tmp_path, report).read_text(encoding="utf-8")
    check_page(page)
    assert page.count('alt="colour bar: 0 to 80 mm/h, logarithmic; grey has no data"') == 1
    plain = replace(report, config=replace(report.config, colormap="none"))
    assert "colour bar" not in write_evaluation_report(tmp_path, plain).read_text(encoding="utf-8")
