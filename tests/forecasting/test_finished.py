"""Forecasts that are kept, and shards that together are one call."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import moving_square
from prediction import Notes, lively, make_run, one
from typer.testing import CliRunner

from convlstm_cli import predict as prediction
from convlstm_cli.cli.app import app
from convlstm_cli.errors import ConvLSTMError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.shards import Shard
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.runs.run import Run
from convlstm_cli.video.formats import OUTPUT_FORMATS

CONFIG = PredictConfig(at=9, formats=("png", "npy"))


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return lively(make_run(tmp_path / "run"))


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_there_from_the_same_is_kept(video: Path, run: Run, tmp_path: Path) -> None:
    run.config["data"]["split"] = {"train": [{"path": str(video.resolve()), "source_start": 0, "source_stop": 12}]}
    made = one(run, video, tmp_path / "out", CONFIG)
    times = {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")}
    progress = Notes()
    [(_, kept)] = predict([video], run, tmp_path / "out", replace(CONFIG, device="cpu"), progress)
    assert isinstance(kept, Forecast)
    assert (made.kept, kept.kept) == (False, True)
    assert replace(kept, kept=False) == made
    assert {path: path.stat().st_mtime_ns for path in made.folder.rglob("*")} == times
    assert any("flatter" in note for note in progress.notes)  # as when it was made


def touch(place: Path) -> None:
    os.utime(place / "square.npy", ns=(0, 10**18))


def lengthen(place: Path) -> None:
    state = (place / "square.npy").stat()
    np.save(place / "square.npy", moving_square(13, seed=3))
    os.utime(place / "square.npy", ns=(state.st_atime_ns, state.st_mtime_ns))


def train_on(place: Path) -> None:
    run = Run.open(place / "run")
    network = run.load_model(torch.device("cpu"))
    torch.nn.init.normal_(network.head.conv.weight, std=0.1)
    run.save_weights(network.state_dict())


def fit_otherwise(place: Path) -> None:
    run = Run.open(place / "run")
    run.config["data"]["settings"]["fit"] = "crop"
    run.write_json("config.json", run.config)


def lose_a_frame(place: Path) -> None:
    (place / "out/square/frame_000002.png").unlink()


def cut_a_file(place: Path) -> None:
    os.truncate(place / "out/square/forecast.npy", 100)


def damage_the_record(place: Path) -> None:
    (place / "out/square/forecast.json").write_text("{")


def nest_the_record(place: Path) -> None:
    (place / "out/square/forecast.json").write_text("[" * 100_000)


def forget_the_origin(place: Path) -> None:
    """As the records of older versions."""
    path = place / "out/square/forecast.json"
    record = json.loads(path.read_text())
    del record["made_from"]
    path.write_text(json.dumps(record))


def damage_the_scores(place: Path) -> None:
    path = place / "out/square/forecast.json"
    record = json.loads(path.read_text())
    record["scores"]["model"]["by_lead_time"] = 7
    path.write_text(json.dumps(record))


CHANGES = (
    *(touch, lengthen, train_on, fit_otherwise, lose_a_frame, cut_a_file),
    *(damage_the_record, nest_the_record, forget_the_origin, damage_the_scores),
)


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_whole_or_not_from_the_same_is_made_anew(
    change: Callable[[Path], None], video: Path, run: Run, tmp_path: Path
) -> None:
    folder = one(run, video, tmp_path / "out", CONFIG).folder
    change(tmp_path)
    run = Run.open(run.folder)
    assert not one(run, video, tmp_path / "out", CONFIG).kept
    assert len(list(folder.glob("frame_*.png"))) == 3
    assert one(run, video, tmp_path / "out", CONFIG).kept


@pytest.mark.parametrize("other", [{"frames": 5}, {"at": 8}, {"formats": ("png",)}, {"fps": 3.0}])
def test_other_settings_are_made_anew(other: dict[str, object], video: Path, run: Run, tmp_path: Path) -> None:
    one(run, video, tmp_path / "out", CONFIG)
    assert not one(run, video, tmp_path / "out", replace(CONFIG, **other)).kept  # type: ignore[arg-type]


def test_other_versions_are_made_anew(video: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one(run, video, tmp_path / "out", CONFIG)
    monkeypatch.setattr("convlstm_cli.forecasting.finished.versions", lambda _: {"convlstm": "99"})
    assert not one(run, video, tmp_path / "out", CONFIG).kept


def test_another_file_of_the_same_name_size_and_time_is_forecast(run: Run, tmp_path: Path) -> None:
    for number, name in enumerate(("a", "b")):
        (tmp_path / name).mkdir()
        np.save(tmp_path / name / "x.npy", moving_square(12, seed=number))
        os.utime(tmp_path / name / "x.npy", ns=(0, 10**18))
    out, notes = tmp_path / "out", Notes()
    first, second = (one(run, tmp_path / name / "x.npy", out, CONFIG) for name in ("a", "b"))
    assert first.folder == second.folder
    assert not second.kept
    list(predict([tmp_path / "b" / "x.npy"], run, out, replace(CONFIG, frames=1), notes))
    assert not notes.notes
    list(predict([tmp_path / "a" / "x.npy"], run, out, CONFIG, notes))
    assert notes.notes == [f"{out / 'x'}: replaces the forecast of {tmp_path / 'b' / 'x.npy'}; another -o keeps both."]


# Shards


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Videos, two of one stem, two of which cannot be used."""
    videos = tmp_path / "videos"
    for number, name in enumerate(("b/x.npy", "a.npy", "x.npy", "frame10.npy", "frame9.npy")):
        (videos / name).parent.mkdir(parents=True, exist_ok=True)
        np.save(videos / name, moving_square(12, seed=number, channels=1 + 2 * (number % 2)))
    (videos / "broken.mp4").write_bytes(b"no video")
    return videos


ALL = PredictConfig(at=9, formats=tuple(OUTPUT_FORMATS))


def test_four_shards_are_one_call_byte_for_byte(folder: Path, run: Run, tmp_path: Path) -> None:
    inputs = [folder, tmp_path / "missing.avi"]
    whole = dict(predict(inputs, run, tmp_path / "whole", ALL))
    parts: dict[Path, Forecast | ConvLSTMError] = {}
    for index in (2, 0, 3, 1):
        progress = Notes()
        share = dict(predict(inputs, run, tmp_path / "parts", ALL, progress, Shard(index, 4)))
        assert any(f"shard {index}/4" in note and f"takes {len(share)} of 7" in note for note in progress.notes)
        assert not parts.keys() & share.keys()
        parts |= share
    assert {path.name for path, outcome in whole.items() if isinstance(outcome, ConvLSTMError)} == {
        "broken.mp4",
        "missing.avi",
    }
    assert whole.keys() == parts.keys()
    expected = contents(tmp_path / "whole")
    # PNG and GeoTIFF images, files, a store, the record; the picture, and videos beside the truth
    assert len(expected) == 5 * (3 + 3 + 9 + 5 + 1 + 1 + 5)
    assert contents(tmp_path / "parts") == expected
    assert [outcome for outcome in parts.values() if isinstance(outcome, Forecast) and outcome.kept] == []


def test_a_shard_without_inputs_ends_well(video: Path, run: Run, tmp_path: Path) -> None:
    progress = Notes()
    assert list(predict([video], run, tmp_path / "out", CONFIG, progress, Shard(1, 2))) == []
    [note] = progress.notes
    assert "shard 1/2" in note
    assert "nothing to do" in note
    assert not (tmp_path / "out").exists()


def test_a_shard_that_was_stopped_goes_on(
    folder: Path, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shard = Shard(0, 2)
    whole = list(predict([folder], run, tmp_path / "whole", CONFIG, shard=shard))
    done = 0
    predict_video = prediction.predict_video

    def stopped(*arguments: object) -> Forecast:
        nonlocal done
        done += 1
        if done == 2:
            raise KeyboardInterrupt
        return predict_video(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(prediction, "predict_video", stopped)
        with pytest.raises(KeyboardInterrupt):
            list(predict([folder], run, tmp_path / "out", CONFIG, shard=shard))
    assert len(list((tmp_path / "out").iterdir())) == 1
    again = [outcome for _, outcome in predict([folder], run, tmp_path / "out", CONFIG, shard=shard)]
    assert [outcome.kept for outcome in again if isinstance(outcome, Forecast)] == [True, False]
    assert len(again) == len(whole)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


# The command line


def forecast(*arguments: object, **environment: str) -> dict[str, Any]:
    """The result of `predict --json`, and in `notes` what it writes to stderr."""
    done = CliRunner().invoke(app, ["predict", *map(str, arguments), "--json"], env=environment)
    assert done.exit_code == 0, done.stderr
    return {**json.loads(done.stdout), "notes": done.stderr}


def test_processes_share_the_inputs_and_count_what_they_keep(folder: Path, run: Run, tmp_path: Path) -> None:
    (folder / "broken.mp4").unlink()
    command = folder, "-m", run.folder, "-o", tmp_path / "out", "--format", "png"
    first = forecast(*command, RANK="0", WORLD_SIZE="2")
    assert (first["shard"], len(first["forecasts"]), first["kept"]) == ("0/2", 3, 0)
    assert "by RANK/WORLD_SIZE" in first["notes"]
    array = {"SLURM_ARRAY_TASK_ID": "2", "SLURM_ARRAY_TASK_COUNT": "2", "SLURM_ARRAY_TASK_MIN": "1"}
    second = forecast(*command, **array)
    assert (second["shard"], len(second["forecasts"]), second["kept"]) == ("1/2", 2, 0)
    every = forecast(*command, "--shard", "0/1", **array)
    assert (every["shard"], len(every["forecasts"]), every["kept"]) == ("0/1", 5, 5)
    assert f"kept 5 forecasts in {tmp_path / 'out'}: " in every["notes"]
    assert "unchanged" in every["notes"]
    assert "wrote" not in every["notes"]
