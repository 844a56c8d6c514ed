"""A baseline or a metric that is added in one place is in everything that lists them."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from made_up_evaluation import made_up_report
from torch import Tensor
from typer.testing import CliRunner

from convlstm_cli.cli.app import app
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.reporting.styles import system_styles
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import BASELINES, Baseline
from convlstm_cli.scoring.columns import Column
from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.metrics import METRICS, Metric
from convlstm_cli.scoring.pooling import averaged
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3)


def mean_frame(frames: Tensor, horizon: int, chunk: int) -> Iterator[Tensor]:
    for first in range(0, horizon, chunk):
        yield frames.mean(dim=1, keepdim=True).expand(-1, min(chunk, horizon - first), -1, -1, -1)


def largest_error(forecast: Tensor, truth: Tensor, _: Tensor | None) -> Tensor:
    return (forecast - truth).abs().amax(dim=(2, 3, 4))


BASELINE = Baseline("mean_frame", "the mean of all frames", "repeating the mean frame", "average", mean_frame)
METRIC = Metric(
    "largest",
    "largest error",
    2,
    "largest absolute error of a frame, mean over clips",
    (Column("largest", largest_error),),
    averaged("largest"),
    bounds=(0.0, 1.0),
    smaller_is_better=True,
    panel="the largest error of a frame",
)


@pytest.fixture
def run(make_folder: Callable[..., Path], tmp_path: Path) -> Run:
    data = prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)
    return train(data, MODEL, TrainConfig(max_steps=1, device="cpu"), tmp_path / "run").run


@pytest.fixture
def made_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """One more baseline and one more metric, until the test ends."""
    monkeypatch.setitem(BASELINES._entries, BASELINE.name, BASELINE)
    monkeypatch.setitem(METRICS._entries, METRIC.name, METRIC)


def evaluated(run: Run, *options: str) -> str:
    done = CliRunner().invoke(app, ["evaluate", str(run.folder), "--device", "cpu", *options])
    assert done.exit_code == 0, done.output
    return done.stdout


@pytest.mark.usefixtures("made_up")
def test_a_new_metric_and_a_new_baseline_are_in_json_table_and_report(run: Run, tmp_path: Path) -> None:
    found = json.loads(evaluated(run, "--json", "-o", str(tmp_path / "a")))
    for system in ("model", "guarded", *BASELINES):
        assert len(found[system]["by_lead_time"]["largest"]) == 3
    assert found["mean_frame"]["mean"]["mse"] > 0
    assert "mean_frame" in found["skill_against"]
    assert found["definitions"]["largest"] == METRIC.definition

    table = " ".join(evaluated(run, "-o", str(tmp_path / "b")).split())
    for words in (*METRIC.heading.split(), BASELINE.heading, BASELINE.phrase):  # a heading is broken to fit
        assert words in table

    header, *lines = (tmp_path / "b" / "scores.csv").read_text().splitlines()
    assert "largest" in header.split(",")
    assert any(",mean_frame," in line for line in lines)

    page = (tmp_path / "b" / "report.html").read_text(encoding="utf-8")
    assert f"<h3>{METRIC.heading}</h3>" in page  # the table
    assert f'aria-label="{METRIC.heading} by lead time; the numbers are in a table"' in page  # the chart
    for words in (METRIC.definition, BASELINE.label, BASELINE.phrase, f'<span class="name">{BASELINE.heading}</span>'):
        assert words in page


@pytest.mark.usefixtures("made_up")
def test_a_new_baseline_looks_unlike_the_others() -> None:
    styles = system_styles()
    assert len({(style.colour, style.dashes, style.marker) for style in styles.values()}) == len(styles)


def test_a_run_of_before_a_baseline_existed_is_still_shown(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(BASELINES._entries, BASELINE.name, BASELINE)
    done = CliRunner().invoke(app, ["inspect", str(run.folder)])
    assert done.exit_code == 0, done.output
    assert "flow" in done.stdout
    assert BASELINE.heading not in done.stdout


@pytest.mark.usefixtures("made_up")
def test_the_values_are_those_of_the_new_entries() -> None:
    report = made_up_report([0.01, 0.04])
    pooled = report.evaluation.pooled()
    assert pooled["model"].by_lead_time["largest"] == pytest.approx([0.1, 0.2])
    assert finite(report.evaluation.model.overall("largest")) == pytest.approx(0.15)
    frames = torch.tensor([0.2, 0.4]).view(1, 2, 1, 1, 1)
    assert BASELINES["mean_frame"].forecast(frames, 3).flatten().tolist() == pytest.approx([0.3] * 3)
