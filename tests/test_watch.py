"""Videos that are watched, from the frames to the files."""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest
import torch
from helpers import data_record, moving_square
from numpy.typing import NDArray
from prediction import Notes, frames_of, lively, make_run

from convlstm_cli.errors import ConvLSTMError, InputError, RunError, UsageError
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.video.guides import Guide
from convlstm_cli.video.search import find_videos
from convlstm_cli.video.values import ValueRange
from convlstm_cli.watch import Watched, watch
from convlstm_cli.watching.config import WatchConfig

FILES = ["plot.png", "scores.csv", "watch.json", "worst.webm"]


def quiet(frames: int, seed: int = 0) -> NDArray[np.uint8]:
    """(T, 32, 32, 1) of noise, which a network that copies the last frame forecasts as well as any."""
    return np.random.default_rng(seed).integers(90, 110, (frames, 32, 32, 1), np.uint8)


@pytest.fixture
def without_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the film nor the plot is drawn, which takes longer than all else."""
    monkeypatch.setattr("convlstm_cli.watching.output.write_film", lambda *_: None)
    monkeypatch.setattr("convlstm_cli.watching.plot.Curve.write", lambda *_: None)


@pytest.fixture
def copying(tmp_path: Path) -> Run:
    """A run that copies the last of 4 frames, without videos of its own."""
    return make_run(tmp_path / "run")


def one(
    run: Run, source: Path, config: WatchConfig | None = None, normal: Sequence[Path] = (), **others: Any
) -> Watched:
    """What was found in one video; raises the error that it failed with."""
    config = config or WatchConfig()
    [(_, outcome)] = watch([source], run, source.parent / "watched", config, normal=normal, **others)
    if isinstance(outcome, ConvLSTMError):
        raise outcome
    return outcome


def rows_of(watched: Watched) -> list[dict[str, str]]:
    with (watched.folder / "scores.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A quiet video of 120 frames; at frames 81 to 83 a square lights up in rows 8 to 15 and columns 20 to 27."""
    frames = quiet(120)
    frames[80:83, 8:16, 20:28] = 200
    np.save(tmp_path / "odd.npy", frames)
    return tmp_path / "odd.npy"


@pytest.mark.usefixtures("without_pictures")
def test_a_square_that_lights_up_is_the_most_surprising_event(copying: Run, odd: Path) -> None:
    found = one(copying, odd)
    event, *others = sorted(found.events, key=lambda event: -event.score)
    # Copying is wrong where the square comes, and where it has gone.
    assert event.first in range(78, 82)
    assert event.last in range(84, 88)
    assert all(other.score < event.score / 3 for other in others)
    assert event.peak in (81, 84)
    assert event.p == pytest.approx(1 / (1 + found.record.calibration.frames))
    assert abs(event.row - 11.5) <= 4
    assert abs(event.column - 23.5) <= 4
    record = found.record
    assert (record.frames, record.scored, record.judged) == (120, 116, 116 - 30)
    assert record.calibration.source == "the first part of the video itself"


def test_what_is_written_says_the_same(copying: Run, odd: Path) -> None:
    found = one(copying, odd)
    assert sorted(path.name for path in found.folder.iterdir()) == FILES
    rows = rows_of(found)
    assert [int(row["frame"]) for row in rows] == list(range(1, 121))
    assert {81, 84} <= {int(row["frame"]) for row in rows if row["alarm"] == "1"}
    assert sum(row["alarm"] == "1" for row in rows) == found.record.alarms
    assert [row["frame"] for row in rows if not row["score"]] == ["1", "2", "3", "4"]
    judged = [row for row in rows if row["p"]]
    assert [int(row["frame"]) for row in judged] == list(range(35, 121))
    record = json.loads((found.folder / "watch.json").read_text())
    limit = record["calibration"]["threshold"]["score"]
    assert all((float(row["score"]) > limit) == (row["alarm"] == "1") for row in judged)
    event = max(record["events"], key=lambda event: float(event["score"]))
    peak = rows[event["peak"] - 1]
    assert float(peak["score"]) == pytest.approx(event["score"], rel=1e-8)
    assert (int(peak["row"]), int(peak["column"])) == (event["row"], event["column"])
    film = frames_of(found.folder / "worst.webm")
    assert film.shape[1:] == (278, 768, 3)
    assert len(film) > 13


def test_equal_calls_write_equal_files_and_replace_them(
    copying: Run, odd: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("convlstm_cli.watching.moments.SHOWN_SIDE", 32)
    first = one(copying, odd)
    before = {name: (first.folder / name).read_bytes() for name in FILES}
    again = one(copying, odd)
    assert {name: (again.folder / name).read_bytes() for name in FILES} == before
    assert [video.name for video in find_videos([odd.parent]).videos] == ["odd.npy"]  # and not its film


@pytest.mark.usefixtures("without_pictures")
@pytest.mark.parametrize("size", [7])
def test_the_scores_do_not_depend_on_the_batch_size(copying: Run, odd: Path, size: int) -> None:
    lively(copying)
    scores = [[row["score"] for row in rows_of(one(copying, odd, WatchConfig(batch_size=each)))] for each in (size, 16)]
    assert scores[0][:4] == scores[1][:4] == [""] * 4
    ours, theirs = (np.array(each[4:], np.float64) for each in scores)
    # The first part ends with a batch, so what is usual is of other frames.
    np.testing.assert_allclose(np.argsort(ours)[-2:], np.argsort(theirs)[-2:])


@pytest.mark.usefixtures("without_pictures")
def test_normal_videos_judge_every_frame_and_make_alarms_rarer(copying: Run, odd: Path, tmp_path: Path) -> None:
    (tmp_path / "normal").mkdir()
    for seed in range(3):
        np.save(tmp_path / "normal" / f"{seed}.npy", quiet(204, 10 + seed))
    notes = Notes()
    found = one(copying, odd, normal=[tmp_path / "normal"], progress=notes)
    assert found.record.judged == found.record.scored == 116
    assert found.record.calibration.frames == 600
    assert found.record.calibration.source == "--normal, 3 videos"
    assert any(event.first <= 81 and event.last >= 84 for event in found.events)
    # 600 frames at 10 a second are a minute.
    assert found.record.calibration.threshold.per_hour == pytest.approx(60.0)
    assert any("no score that is rarer than 60 alarms an hour" in note for note in notes.notes)
    assert any("has no times" in note for note in notes.notes)


@pytest.mark.usefixtures("without_pictures")
def test_a_rate_that_normal_frames_show_is_kept(copying: Run, tmp_path: Path) -> None:
    np.save(tmp_path / "normal.npy", quiet(604, 5))
    np.save(tmp_path / "later.npy", quiet(1204, 6))
    notes = Notes()
    config = WatchConfig(false_alarms=600.0)
    found = one(copying, tmp_path / "later.npy", config, [tmp_path / "normal.npy"], progress=notes)
    assert found.record.calibration.threshold.is_as_asked
    assert not any("no score that is rarer" in note for note in notes.notes)
    assert 2 <= len(found.events) <= 40  # 20 in two minutes


@pytest.mark.usefixtures("without_pictures")
def test_the_held_out_videos_of_a_run_are_its_normal_frames(odd: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for name in ("held", "other"):
        np.save(tmp_path / f"{name}.npy", quiet(104, 3))
    split = run.config["data"]["split"]
    part = split["train"][0]
    split["validation"] = [part | {"path": str(tmp_path / "held.npy"), "source_start": 0, "source_stop": 54}]
    split["test"] = [part | {"path": str(tmp_path / "gone.npy")}]
    split["train"] = [part | {"path": str(tmp_path / "other.npy")}]
    found = one(run, odd)
    assert found.record.calibration.frames == 50
    assert found.record.calibration.source == "the validation and test videos of the run, 1 video"
    # A video is not its own measure.
    assert one(run, tmp_path / "held.npy").record.calibration.source == "the first part of the video itself"


@pytest.mark.usefixtures("without_pictures")
def test_how_the_video_was_read_is_noted(copying: Run, tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", large=quiet(90), small=quiet(60))
    copying.config["data"]["values"] = ValueRange(0.0, 200.0, "mm/h").to_dict()
    one(copying, tmp_path / "two.npz", progress=(progress := Notes()))
    assert [note for note in progress.notes if "large is read, the largest of 2 arrays" in note]
    assert [note for note in progress.notes if "holds 8-bit pictures, and the training was on values in mm/h" in note]


@pytest.mark.usefixtures("without_pictures")
def test_gaps_and_frames_without_values_raise_no_alarm(copying: Run, tmp_path: Path) -> None:
    frames = quiet(100)[..., 0].astype(np.float32) / 255
    frames[60:] += 0.5  # after the gap all is brighter
    frames[80:83] = np.nan
    frames[30:, :10] = np.nan
    with netCDF4.Dataset(tmp_path / "gap.nc", "w") as file:
        for name, size in (("time", 100), ("y", 32), ("x", 32)):
            file.createDimension(name, size)
        file.createVariable("time", "f8", ("time",))[:] = np.arange(100) * 0.1 + 50 * (np.arange(100) >= 60)
        file["time"].units = "seconds since 2024-06-01"
        file.createVariable("light", "f4", ("time", "y", "x"), fill_value=np.nan)[:] = frames
    found = one(copying, tmp_path / "gap.nc", WatchConfig(value_range="0,1"))
    unscored = [int(row["frame"]) for row in rows_of(found) if not row["score"]]
    assert unscored == [*range(1, 5), *range(61, 65), *range(81, 88)]
    assert not [event for event in found.events if event.first > 60 and event.score > 2]


@pytest.mark.usefixtures("without_pictures")
def test_members_judge_where_they_are_asked_for(odd: Path, tmp_path: Path) -> None:
    model: dict[str, Any] = {"height": 32, "width": 32, "channels": 1, "hidden": [4], "noise": True}
    model |= {"input_frames": 4, "horizon": 3}
    run = Run.create(tmp_path / "noisy", {"model": model, "training": {}, "data": data_record(32, 32)})
    torch.manual_seed(0)
    run.save_weights(EncoderForecaster(ForecasterConfig(**model)).state_dict())
    scores = []
    asked: list[tuple[dict[str, Any], int]] = [
        ({}, 0),
        ({"members": 3}, 3),
        ({"members": 3, "seed": 1}, 3),
    ]
    for options, members in asked:
        notes = Notes()
        found = one(run, odd, WatchConfig(**options), progress=notes)
        assert sum("not calibrated" in note for note in notes.notes) == bool(members)
        assert (found.record.members, found.record.scored) == (members, 116)
        scores.append(tuple(row["score"] for row in rows_of(found)))
    assert len(set(scores)) == 3
    with pytest.raises(RunError, match="without --members"):
        one(make_run(tmp_path / "single"), odd, WatchConfig(members=3))


@pytest.mark.usefixtures("without_pictures")
def test_what_cannot_be_watched_is_said(copying: Run, odd: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "short.npy", quiet(20))
    with pytest.raises(InputError, match=r"short.npy: has 16 frames that can be forecast.*--normal FOLDER"):
        one(copying, tmp_path / "short.npy")
    np.save(tmp_path / "little.npy", quiet(24))
    with pytest.raises(InputError, match=r"little.npy: has 24 frames, and none is left to judge"):
        one(copying, tmp_path / "little.npy")
    with pytest.raises(InputError, match=r"--normal: has 16 normal frames"):
        one(copying, odd, normal=[tmp_path / "short.npy"])
    with pytest.raises(InputError, match="is not there"):
        one(copying, odd, normal=[tmp_path / "nowhere"])
    np.save(tmp_path / "bands.npy", np.zeros((40, 32, 32, 5), np.uint8))
    refusal = "bands.npy: has 5 channels, and run forecasts 1; choose one with --channels 0."
    with pytest.raises(InputError, match=refusal):
        one(copying, tmp_path / "bands.npy")
    with pytest.raises(InputError, match=refusal):
        one(copying, odd, normal=[tmp_path / "bands.npy"])
    bands = make_run(tmp_path / "of-bands", channels=5)
    with pytest.raises(InputError, match=r"odd.npy: has 1 channel, and of-bands forecasts 5; give a source with 5."):
        one(bands, tmp_path / "bands.npy", normal=[odd])
    assert not list((tmp_path / "watched").glob("*"))
    found = dict(watch([tmp_path / "short.npy", odd], copying, tmp_path / "watched"))
    assert isinstance(found[tmp_path / "short.npy"], InputError)
    assert isinstance(found[odd], Watched)


@pytest.mark.parametrize("known", [False, True])
def test_a_run_that_reads_channels_beside_the_frames_is_refused(known: bool, odd: Path, tmp_path: Path) -> None:
    model: dict[str, Any] = {"inputs": 1, "known": int(known)}
    run = make_run(tmp_path / "guided", **model)
    run.config["data"]["guides"] = [Guide(1, known=known).to_dict()]
    flag = "--known-future" if known else "--input-only"
    with pytest.raises(UsageError, match=f"guided: was trained with {flag}, .*without it, or use -m pretrained"):
        one(run, odd)
    assert not (tmp_path / "watched").exists()


@pytest.mark.parametrize(
    ("options", "flag"),
    [
        ({"false_alarms": 0.0}, "--false-alarms"),
        ({"false_alarms": float("nan")}, "--false-alarms"),
        ({"members": 1}, "--members"),
        ({"members": -1}, "--members"),
        ({"batch_size": 0}, "--batch-size"),
        ({"seed": -1}, "--seed"),
        ({"size": "8"}, "--size"),
        ({"max_gap": 0.5}, "--max-gap"),
        ({"value_range": "3"}, "--range"),
    ],
)
def test_settings_that_make_no_sense_are_named(options: dict[str, Any], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        WatchConfig(**options)


@pytest.mark.usefixtures("without_pictures")
def test_pixels_in_colour_are_watched_in_colour(tmp_path: Path) -> None:
    np.save(tmp_path / "video.npy", np.concatenate([moving_square(40, seed, channels=3) for seed in range(3)]))
    found = one(make_run(tmp_path / "run", channels=3), tmp_path / "video.npy")
    assert found.record.judged > 0
