"""Predictions, from inputs to folders of forecasts."""

import json
import subprocess
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import moving_square
from prediction import Notes, frames_of, lively, make_run, one
from timed_videos import at_rate, timed_video
from typer.testing import CliRunner

from convlstm_cli.cli.app import app
from convlstm_cli.compute.device import choose
from convlstm_cli.errors import ConvLSTMError, InputError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.inference import forecast_clip
from convlstm_cli.forecasting.streams import CHUNK
from convlstm_cli.nn import EncoderForecaster
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.reporting import truth_strip
from convlstm_cli.scoring.scores import Scores, score
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.formats import OUTPUT_FORMATS, OutputFormat
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.readers import READERS
from convlstm_cli.video.readers.reader import Reader
from convlstm_cli.video.readers.video_reader import TimedFrame, VideoReader
from convlstm_cli.video.search import find_videos
from convlstm_cli.video.writers.base import FrameWriter


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "square.npy"
    np.save(path, moving_square(12, seed=3))
    return path


def test_the_forecast_starts_after_the_last_frame(video: Path, tmp_path: Path) -> None:
    forecast = one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(guard=False))
    assert (forecast.first_input_frame, forecast.last_input_frame, forecast.frames) == (9, 12, 3)
    assert forecast.scores is None
    folder = tmp_path / "out" / "square"
    assert forecast.folder == folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "forecast.json",
        "forecast.npy",
        "forecast.webm",
        "frame_000001.png",
        "frame_000002.png",
        "frame_000003.png",
    ]
    last = np.load(video)[11]
    written = frames_of(folder)
    assert written.shape == (3, 32, 32, 1)
    assert all((frame == last).all() for frame in written)


def test_at_counts_from_one_and_scores_what_is_known(video: Path, tmp_path: Path) -> None:
    config = PredictConfig(at=10, frames=5, guard=False)
    forecast = one(make_run(tmp_path / "run"), video, tmp_path / "out", config)
    assert (forecast.first_input_frame, forecast.last_input_frame, forecast.frames) == (7, 10, 5)
    frames = np.load(video) / 255.0
    # Frames 11 and 12 are known; the network copies frame 10.
    expected = [((frames[9] - frames[t]) ** 2).mean() for t in (10, 11)]
    assert forecast.scores is not None
    for system in (forecast.scores.model, forecast.scores.persistence):
        assert system.by_lead_time["mse"] == pytest.approx(expected, rel=1e-5)
    folder = forecast.folder
    assert (folder / "scored" / "truth-and-forecast.png").exists()
    beside = frames_of(folder / "scored" / "truth-and-forecast.webm")
    assert beside.shape[:3] == (2, 32, 64)
    assert np.abs(beside[0][:, :32].mean() - frames[10].mean() * 255) < 8
    record = json.loads((folder / "forecast.json").read_text())
    assert record["last_input_frame"] == 10


@pytest.mark.parametrize("log", [False, True])
def test_scores_are_those_of_values_that_the_input_never_had(log: bool, tmp_path: Path) -> None:
    frames = np.random.default_rng(0).uniform(0, 6, (8, 32, 32))
    frames[6] *= 20
    frames[7, 0, 0] = np.nan
    np.save(tmp_path / "rain.npy", frames)
    config = PredictConfig(at=6, guard=False, log=log)
    forecast = one(make_run(tmp_path / "run"), tmp_path / "rain.npy", tmp_path / "out", config)
    assert forecast.scores is not None
    expected = [np.nanmean((frames[at] - frames[5]) ** 2) for at in (6, 7)]
    for system in (forecast.scores.model, forecast.scores.persistence):
        assert system.by_lead_time["mse"] == pytest.approx(expected, rel=1e-4)


def test_a_grey_model_says_that_colour_is_lost(tmp_path: Path) -> None:
    source = tmp_path / "colour.npy"
    np.save(source, moving_square(6, seed=1, channels=3))
    progress = Notes()
    [(_, forecast)] = predict([source], make_run(tmp_path / "run"), tmp_path / "out", progress=progress)
    assert isinstance(forecast, Forecast)
    assert frames_of(forecast.folder).shape[-1] == 1
    assert any("colour" in note for note in progress.notes)


def test_how_the_input_was_read_is_noted(tmp_path: Path) -> None:
    np.savez(tmp_path / "two.npz", large=moving_square(8, seed=1), small=moving_square(6, seed=1))
    list(predict([tmp_path / "two.npz"], make_run(tmp_path / "run"), tmp_path / "out", progress=(progress := Notes())))
    assert [note for note in progress.notes if "large is read, the largest of 2 arrays" in note]


def test_scores_on_training_material_come_with_a_warning(video: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for subset, warned in (("train", True), ("validation", True), ("test", False)):
        run.config["data"]["split"] = {subset: [{"path": str(video.resolve()), "source_start": 10, "source_stop": 12}]}
        progress = Notes()
        list(predict([video], run, tmp_path / "out", PredictConfig(at=10), progress))
        assert any("trained on" in note for note in progress.notes) == warned
    run.config["data"]["split"] = {"train": [{"path": str(video.resolve()), "source_start": 0, "source_stop": 10}]}
    progress = Notes()
    list(predict([video], run, tmp_path / "out", PredictConfig(at=10), progress))
    assert progress.notes == []  # other frames of the same video were trained on, not those that are scored


def test_one_bad_input_does_not_stop_the_others(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder(videos=2)
    (folder / "broken.mp4").write_bytes(b"no video")
    outcomes = dict(predict([folder, tmp_path / "missing.avi"], make_run(tmp_path / "run"), tmp_path / "out"))
    failed = {path.name: str(error) for path, error in outcomes.items() if isinstance(error, ConvLSTMError)}
    assert set(failed) == {"broken.mp4", "missing.avi"}
    assert all(name in message for name, message in failed.items())
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["square0", "square1"]


def test_an_empty_folder_is_a_failed_input(video: Path, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    outcomes = dict(predict([tmp_path / "empty", video], make_run(tmp_path / "run"), tmp_path / "out"))
    assert "holds no videos" in str(outcomes[tmp_path / "empty"])
    assert isinstance(outcomes[video], Forecast)


def test_a_second_prediction_replaces_the_first(video: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    one(run, video, tmp_path / "out", PredictConfig(frames=5))
    forecast = one(run, video, tmp_path / "out", PredictConfig(frames=2))
    assert len(list(forecast.folder.glob("frame_*.png"))) == 2


def test_a_foreign_folder_is_not_replaced(video: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "square").mkdir(parents=True)
    (tmp_path / "out" / "square" / "mine.txt").write_text("dear")
    with pytest.raises(ConvLSTMError, match="square"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out")
    assert (tmp_path / "out" / "square" / "mine.txt").read_text() == "dear"


def test_the_network_gets_the_frames_in_order(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    stream = EncoderForecaster.stream

    def spy(self: EncoderForecaster, frames: torch.Tensor, horizon: int, **options: Any) -> Iterator[torch.Tensor]:
        seen.append(frames)
        return stream(self, frames, horizon, **options)

    monkeypatch.setattr(EncoderForecaster, "stream", spy)
    one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=9, device="cpu"))
    expected = torch.from_numpy(np.load(video)[5:9]).permute(0, 3, 1, 2)[None].float() / 255
    assert torch.equal(seen[0], expected)


def test_forecasts_of_test_videos_are_never_training_videos(video: Path, tmp_path: Path) -> None:
    """Training on the working directory must not pick up what earlier commands wrote into it."""
    one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=9))
    assert [video.path for video in find_videos([tmp_path]).videos] == [video]
    assert find_videos([tmp_path / "out" / "square"]).videos  # but whoever asks for it gets it


def test_want_of_memory_is_one_inputs_failure(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("convlstm_cli.forecasting.streams.forecast_chunks", full)
    with pytest.raises(InputError, match="memory than there is; choose --size model"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out")


@pytest.fixture
def long_video(tmp_path: Path) -> Path:
    path = tmp_path / "long.npy"
    np.save(path, moving_square(60, seed=3))
    return path


def by_lead_time(name: str, scores: Scores) -> Any:
    content: Any = scores.to_dict()
    return content["by_lead_time"][name]


@pytest.mark.parametrize("frames", [CHUNK - 1, CHUNK, 2 * CHUNK + 1, 60])
def test_chunks_are_invisible_in_what_is_written(frames: int, long_video: Path, tmp_path: Path) -> None:
    run = lively(make_run(tmp_path / "run"))
    network = run.load_model(torch.device("cpu"))
    config = PredictConfig(at=30, frames=frames, formats=("png", "lossless"), guard=False)
    forecast = one(run, long_video, tmp_path / "out", config)
    clip = torch.from_numpy(np.load(long_video)).permute(0, 3, 1, 2)[None].float() / 255
    expected = forecast_clip(network, clip[:, 26:30], frames, choose("cpu"))
    pixels = (expected[0] * 255).permute(0, 2, 3, 1).numpy()
    written = frames_of(forecast.folder)
    assert np.abs(written - pixels).max() < 0.51  # rounded
    known = min(frames, 30)
    truth = clip[:, 30 : 30 + known]
    assert forecast.scores is not None
    copied = clip[:, 29:30].expand_as(truth)
    for system, frames_of_it in ((forecast.scores.model, expected[:, :known]), (forecast.scores.persistence, copied)):
        for name in ("mse", "mae", "ssim"):
            assert system.by_lead_time[name] == pytest.approx(by_lead_time(name, score(frames_of_it, truth)), rel=1e-4)
    beside = frames_of(forecast.folder / "scored" / "truth-and-forecast.mkv")
    np.testing.assert_array_equal(
        beside[..., :1], np.concatenate((np.load(long_video)[30:][:known], written[:known]), 2)
    )
    strip = cv2.imread(str(forecast.folder / "scored" / "truth-and-forecast.png"))
    assert strip is not None
    assert strip.shape[1] < (min(known, truth_strip.FRAMES) + 1) * 100 + 100


PEAK_MEMORY = """
import resource, sys
from pathlib import Path
from typing import Any
from convlstm_cli.predict import predict
from convlstm_cli.reporting import truth_strip
from convlstm_cli.runs.run import Run
from convlstm_cli.forecasting.config import PredictConfig

def peak(frames):
    config = PredictConfig(at=4, frames=frames, formats=("npy",))
    [(_, outcome)] = predict([Path(sys.argv[2])], Run.open(Path(sys.argv[1])), Path(sys.argv[3]), config)
    assert outcome.frames == frames, outcome
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

first = peak(20)
print(first, peak(320))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts otherwise elsewhere")
def test_memory_does_not_grow_with_the_horizon(tmp_path: Path) -> None:
    """300 frames more of forecast and truth would be 39 MB as the network computes them, and more while scored."""
    run, source = make_run(tmp_path / "run", size=128), tmp_path / "images"
    source.mkdir()
    for number, frame in enumerate(moving_square(324, seed=0, size=128)):
        cv2.imwrite(str(source / f"{number:04d}.png"), frame)
    done = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY, run.folder, source, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    after_20, after_320 = (int(kilobytes) / 1024 for kilobytes in done.stdout.split())
    assert after_320 - after_20 < 20, (after_20, after_320)


# A reader and an output format that are each added in one place


def open_tally(path: Path) -> VideoReader:
    """Reads lines of numbers, each line the brightness of a frame of 32x32."""

    def frames() -> Generator[TimedFrame, None, None]:
        for line in path.read_text().splitlines():
            yield TimedFrame(np.full((32, 32, 1), int(line), np.uint8))

    return VideoReader(path, "tally", frames())


class TallyWriter(FrameWriter):
    """Writes a line for each frame: its mean brightness."""

    def _begin(self) -> None:
        self.lines: list[str] = []

    def _write(self, frame: Frame) -> None:
        self.lines.append(f"{frame.mean():.0f}")

    def _finish(self) -> None:
        self.partial.write_text("\n".join(self.lines))


def test_a_new_reader_and_a_new_format_work_once_they_are_in_their_registries(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader = Reader("tally", "lines of numbers", frozenset({".madeup"}), open_tally)
    output_format = OutputFormat("madeup", ".madeup", "a line for each frame", f"{__name__}:{TallyWriter.__name__}")
    monkeypatch.setattr(READERS, "_entries", {**READERS, reader.name: reader})
    monkeypatch.setattr(OUTPUT_FORMATS, "_entries", {**OUTPUT_FORMATS, output_format.name: output_format})
    source, run = tmp_path / "in" / "x.madeup", make_run(tmp_path / "run").folder
    source.parent.mkdir()
    source.write_text("10\n20\n30\n40\n50\n60")
    for given in (source, source.parent):  # by its own path, and found in a folder
        options = ["--at", "5", "--format", "madeup", "--no-guard"]
        arguments = [str(given), "-m", str(run), "-o", str(tmp_path / "out"), *options]
        done = CliRunner().invoke(app, ["predict", *arguments])
        assert done.exit_code == 0, done.stderr
    assert "kept 1 forecast" in done.stderr
    assert (tmp_path / "out" / "x" / "forecast.madeup").read_text() == "50\n50\n50"
    assert (tmp_path / "out" / "x" / "scored" / "truth-and-forecast.madeup").read_text() == "55"
    assert json.loads(CliRunner().invoke(app, ["inspect", str(source), "--json"]).stdout)["kind"] == "tally"


def test_a_forecast_carries_the_times_of_its_source(tmp_path: Path) -> None:
    source, run = timed_video(tmp_path / "fast.mp4", at_rate(480, 12)), make_run(tmp_path / "run", channels=3)
    run.config["data"]["step"] = 0.1
    config = PredictConfig(at=8, formats=("lossless",))
    [(_, forecast)] = predict([source], run, tmp_path / "out", config, progress := Notes())
    assert isinstance(forecast, Forecast)
    assert any("was trained at 10 frames a second" in note for note in progress.notes)
    record = json.loads((forecast.folder / "forecast.json").read_text())
    assert record["step"] == pytest.approx(1 / 480, rel=0.01)
    assert record["fps"] == pytest.approx(480, rel=0.01)
    assert record["valid_times"] == pytest.approx([8 / 480, 9 / 480, 10 / 480], abs=1e-3)
    assert record["last_known_frame"] == 11
    assert len(frames_of(forecast.folder / "forecast.mkv")) == 3


def test_a_run_of_a_longer_step_reads_and_is_scored_at_that_step(tmp_path: Path) -> None:
    source, run = timed_video(tmp_path / "v.mp4", at_rate(30, 40)), make_run(tmp_path / "run", channels=3)
    run.config["data"]["settings"]["every"] = "0.1s"
    forecast = one(run, source, tmp_path / "out", PredictConfig(at=31, formats=("png",), guard=False))
    assert (forecast.first_input_frame, forecast.last_input_frame, forecast.last_known_frame) == (22, 31, 40)
    assert forecast.step == 0.1
    assert forecast.scores is not None
    assert forecast.scores.lead_times == 3
