import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import draw_nothing, moving_square
from prediction import Notes
from torch import Tensor
from typer.testing import CliRunner

from convlstm_cli.cli.app import app
from convlstm_cli.errors import RunError, UsageError
from convlstm_cli.evaluate import evaluate
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.nn.config import NOISE_LEADS
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.scoring.members.baseline import EnsembleBaseline
from convlstm_cli.scoring.members.baselines import ENSEMBLE_BASELINES
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare
from convlstm_cli.video.values import ValueRange

MODEL = ForecasterConfig(16, 16, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=2, noise=True)


pytestmark = pytest.mark.usefixtures("short_motion_throughout")


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, short_motion_throughout: None) -> Path:  # noqa: ARG001
    """A run that forecasts members, trained once on videos of 14 frames: four of 6 are its test."""
    folder = tmp_path_factory.mktemp("trained")
    (folder / "videos").mkdir()
    for index in range(6):
        np.save(folder / "videos" / f"square{index}.npy", moving_square(14, seed=index))
    data = prepare(DataConfig((str(folder / "videos"),), height=16, width=16, test=0.67), 4, 2)
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        train(data, MODEL, TrainConfig(max_steps=2, members=2, init="none", device="cpu"), folder / "run")
    return folder / "run"


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Run:
    """A copy of that run."""
    shutil.copytree(trained, tmp_path / "run")
    return Run.open(tmp_path / "run")


def test_members_before_the_calibration_are_noted(run: Run) -> None:
    def noted(members: int) -> int:
        notes = Notes()
        evaluate([run], config=EvaluateConfig(members=members, guard=False, device="cpu"), progress=notes)
        return sum("not calibrated" in note for note in notes.notes)

    assert noted(2) == 0  # its training has ended
    run.save_weights(run.load_weights() | {"noise_scale": torch.ones(NOISE_LEADS)})
    assert noted(2) == 1
    assert noted(0) == 0


def shaken(frames: Tensor, horizon: int, count: int, seed: int, *, values: ValueRange) -> Tensor:
    """The last frame with a draw for each member added."""
    assert values.as_shares
    drawn = torch.randn(count, 1, horizon, 1, 1, 1, generator=torch.Generator().manual_seed(seed))
    return (frames[None, :, -1:] + 0.05 * drawn).clamp(0, 1)


SHAKEN = EnsembleBaseline("shaken", "shaken copies", "shaken copies", "shaken", shaken)


def without_members(content: dict[str, object]) -> dict[str, object]:
    extra = ("crps", "spread_skill", "members", "members_mean", "spectra", "definitions", "settings")
    return {name: value for name, value in content.items() if name not in extra}


def test_members_are_scored_beside_a_forecast_that_stays_as_it_is(run: Run) -> None:
    config = EvaluateConfig(members=4, thresholds=(0.3,), device="cpu")
    found = evaluate([run], config=config)
    content, plain = found.to_dict(), evaluate([run], config=replace(config, members=0)).to_dict()
    assert without_members(content) == without_members(plain)
    assert plain["crps"] is plain["spread_skill"] is plain["members"] is plain["spectra"] is None
    assert len(content["crps"]) == len(content["spread_skill"]) == 2
    members = content["members"]
    assert members["count"] == 4
    assert members["mse"] == pytest.approx(content["members_mean"]["by_lead_time"]["mse"], rel=1e-4)
    unasked = [name for name, each in ENSEMBLE_BASELINES.items() if not each.on_request]
    assert list(members["beside"]) == [*unasked, "model", "guarded", *BASELINES]
    for name in ("model", "guarded", *BASELINES):
        single = members["beside"][name]
        assert single["count"] == 1
        assert single["crps"] == pytest.approx(content[name]["by_lead_time"]["mae"], rel=1e-4)
    assert sum(members["ranks"]["frequencies"]) == pytest.approx(1.0)
    assert [each["threshold"] for each in members["exceedance"]] == [0.3]
    spectra = content["spectra"]
    assert spectra["wavelengths"][0] == 16.0
    assert list(spectra["power"]) == ["members", *members["beside"], "truth"]
    assert np.array(spectra["power"]["members"]["by_lead_time"]).shape == (2, 8)


def test_the_members_are_those_of_the_seed_in_any_batches(run: Run) -> None:
    one, again, other = (
        evaluate([run], config=EvaluateConfig(members=3, seed=seed, batch_size=size, guard=False, device="cpu"))
        for seed, size in ((0, 8), (0, 1), (1, 8))
    )
    first, second, third = (report.to_dict()["members"] for report in (one, again, other))
    assert first["crps"] == pytest.approx(second["crps"], rel=1e-5)
    assert first["ranks"]["frequencies"] == pytest.approx(second["ranks"]["frequencies"], abs=0.01)
    assert first["crps"] != third["crps"]
    torch.testing.assert_close(one.worst[0].rows["members_mean"], again.worst[0].rows["members_mean"])


def test_the_command_shows_members_beside_a_baseline_that_is_added(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENSEMBLE_BASELINES._entries, "shaken", SHAKEN)
    command = ["evaluate", str(run.folder), "--members", "3", "--thresholds", "0.3", "--device", "cpu", "--no-guard"]
    done = CliRunner().invoke(app, [*command, "-o", str(tmp_path / "shown")])
    assert done.exit_code == 0, done.output
    words = " ".join(done.stdout.split())
    for shown in ("CRPS", "shaken", "energy score", "reliability index", "Brier", "The 3 members have a CRPS of"):
        assert shown in words
    content = json.loads((tmp_path / "shown" / "evaluation.json").read_text())
    shaken = content["members"]["beside"]["shaken"]
    assert (shaken["count"], len(shaken["spread_skill"])) == (3, 2)
    assert np.isfinite(shaken["crps"]).all()
    header, *rows = csv.reader((tmp_path / "shown" / "members.csv").read_text().splitlines())
    assert header[4:] == ["system", "count", "crps", "energy", "mse", "variance"]
    own = [float(row[6]) for row in rows if row[4] == "members" and row[2] == "1"]
    assert len(own) == content["clips"]
    assert np.mean(own) == pytest.approx(content["crps"][0])
    page = (tmp_path / "shown" / "report.html").read_text(encoding="utf-8")
    assert "shaken copies" in page
    assert 'aria-label="reliability diagram of at least 0.3' in page


def test_a_baseline_that_must_be_asked_for_is_checked_first(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise UsageError("--baseline shaken needs a package")

    monkeypatch.setitem(ENSEMBLE_BASELINES._entries, "shaken", replace(SHAKEN, on_request=True, check=missing))
    config = EvaluateConfig(members=2, guard=False, device="cpu")
    assert "shaken" not in evaluate([run], config=config).to_dict()["members"]["beside"]
    with pytest.raises(UsageError, match="needs a package"):
        evaluate([run], config=replace(config, baseline=("shaken",)))
    with pytest.raises(UsageError, match=r"--baseline is .other.; choose one of .*shaken"):
        evaluate([run], config=replace(config, baseline=("other",)))


def test_a_network_that_reads_no_noise_draws_no_members(run: Run, tmp_path: Path) -> None:
    config = json.loads(json.dumps(run.config))
    config["model"]["noise"] = False
    with pytest.raises(RunError, match="train a run with --members 2"):
        evaluate([Run.create(tmp_path / "plain", config)], config=EvaluateConfig(members=2, device="cpu"))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"members": 1}, "--members is 1; give at least 2"),
        ({"members": -2}, "--members is -2"),
        ({"members": 1001}, "--members is 1001; it can be at most 1000"),
        ({"members": 2, "seed": -1}, "--seed is -1"),
        ({"baseline": ("steps",)}, "--baseline names baselines with members"),
    ],
)
def test_members_that_cannot_be_are_refused(given: dict[str, int], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        EvaluateConfig(**given)  # type: ignore[arg-type]
