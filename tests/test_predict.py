import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import moving_square

from convlstm_cli.errors import ConvLSTMError, InputError
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.predict import Forecast, predict
from convlstm_cli.progress import Progress
from convlstm_cli.run import Run
from convlstm_cli.settings import PredictConfig
from convlstm_cli.video.library import find_videos
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.reader import open_video


def make_run(folder: Path, channels: int = 1, fit: str = "pad", size: int = 32) -> Run:
    """A run whose network copies the last frame, so that what comes out is known."""
    model = {"height": size, "width": size, "channels": channels, "hidden": [4], "kernel_size": 3}
    model |= {"input_frames": 4, "horizon": 3}
    data = {"settings": {"folders": ["x"], "height": size, "width": size, "fit": fit}}
    run = Run.create(folder, {"model": model, "training": {}, "data": data})
    run.save_weights(EncoderForecaster(ForecasterConfig(**model)).state_dict())
    return run


def one(run: Run, source: Path, output: Path, config: PredictConfig | None = None) -> Forecast:
    [(path, outcome)] = predict([source], run, output, config)
    assert path == source
    if isinstance(outcome, ConvLSTMError):
        raise outcome
    return outcome


def frames_of(path: Path) -> np.ndarray:
    with open_video(path) as video:
        return np.stack(list(video))


class Notes(Progress):
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "square.npy"
    np.save(path, moving_square(12, seed=3))
    return path


def test_the_forecast_starts_after_the_last_frame(video: Path, tmp_path: Path) -> None:
    forecast = one(make_run(tmp_path / "run"), video, tmp_path / "out")
    assert (forecast.first_input_frame, forecast.last_input_frame, forecast.frames) == (9, 12, 3)
    assert forecast.scores is None
    folder = tmp_path / "out" / "square"
    assert forecast.folder == folder
    assert sorted(path.name for path in folder.iterdir()) == [
        "forecast.json",
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
    forecast = one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=10, frames=5))
    assert (forecast.first_input_frame, forecast.last_input_frame, forecast.frames) == (7, 10, 5)
    frames = np.load(video) / 255.0
    # Frames 11 and 12 are known; the network copies frame 10.
    expected = [((frames[9] - frames[t]) ** 2).mean() for t in (10, 11)]
    assert forecast.scores is not None
    for who in ("model", "persistence"):
        assert forecast.scores[who]["by_lead_time"]["mse"] == pytest.approx(expected, rel=1e-5)
    folder = forecast.folder
    assert (folder / "scored" / "truth-and-forecast.png").exists()
    beside = frames_of(folder / "scored" / "truth-and-forecast.webm")
    assert beside.shape[:3] == (2, 32, 64)
    assert np.abs(beside[0][:, :32].mean() - frames[10].mean() * 255) < 8
    record = json.loads((folder / "forecast.json").read_text())
    assert record["last_input_frame"] == 10


def test_every_format_is_written(video: Path, tmp_path: Path) -> None:
    formats = ("png", "webm", "mp4", "gif", "lossless", "npy")
    forecast = one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(formats=formats))
    last = np.load(video)[11]
    for path in sorted(forecast.folder.glob("forecast.*")):
        if path.suffix == ".json":
            continue
        written = frames_of(path)
        assert len(written) == 3, path
        assert np.abs(written.mean(axis=-1) - last.mean(axis=-1)).mean() < 8, path
    assert len(list(forecast.folder.glob("forecast.*"))) == 6


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_output_has_the_size_and_colour_of_the_source(tmp_path: Path, fit: str) -> None:
    source = tmp_path / "wide.npy"
    smooth = np.linspace(0, 200, 50)[None, None, :, None] + np.zeros((6, 30, 50, 3))
    np.save(source, (smooth + np.array([0, 5, 10])).astype(np.uint8))
    forecast = one(make_run(tmp_path / "run", channels=3, fit=fit), source, tmp_path / "out")
    written = frames_of(forecast.folder)
    assert written.shape == (3, 30, 50, 3)
    assert np.abs(written[0].astype(int) - np.load(source)[5].astype(int)).mean() < 6


def test_the_models_own_size_on_request(tmp_path: Path) -> None:
    source = tmp_path / "wide.npy"
    np.save(source, np.zeros((6, 30, 50), np.uint8))
    run = make_run(tmp_path / "run")
    forecast = one(run, source, tmp_path / "out", PredictConfig(size="model", at=5))
    assert frames_of(forecast.folder).shape == (3, 32, 32, 1)


def test_a_grey_model_says_that_colour_is_lost(tmp_path: Path) -> None:
    source = tmp_path / "colour.npy"
    np.save(source, moving_square(6, seed=1, channels=3))
    progress = Notes()
    [(_, forecast)] = predict([source], make_run(tmp_path / "run"), tmp_path / "out", progress=progress)
    assert isinstance(forecast, Forecast)
    assert frames_of(forecast.folder).shape[-1] == 1
    assert any("colour" in note for note in progress.notes)


def test_scores_on_training_material_come_with_a_warning(video: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for subset, warned in (("train", True), ("validation", True), ("test", False)):
        run.config["data"]["split"] = {subset: [{"path": str(video.resolve()), "start": 10, "stop": 12}]}
        progress = Notes()
        list(predict([video], run, tmp_path / "out", PredictConfig(at=10), progress))
        assert any("trained on" in note for note in progress.notes) == warned
    run.config["data"]["split"] = {"train": [{"path": str(video.resolve()), "start": 0, "stop": 10}]}
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


def test_inputs_of_one_name_do_not_overwrite_each_other(tmp_path: Path) -> None:
    for index, name in enumerate(("a/x.npy", "b/x.npy")):
        path = tmp_path / name
        path.parent.mkdir()
        np.save(path, moving_square(6, seed=index))
    outcomes = list(predict([tmp_path / "a", tmp_path / "b"], make_run(tmp_path / "run"), tmp_path / "out"))
    folders = {outcome.folder.name for _, outcome in outcomes if isinstance(outcome, Forecast)}
    assert len(folders) == 2


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


def test_at_beyond_the_end_says_how_many_frames_there_are(video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="12 frames"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=13))


def test_one_frame_is_not_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "still.npy", np.zeros((1, 32, 32), np.uint8))
    with pytest.raises(InputError, match="single frame"):
        one(make_run(tmp_path / "run"), tmp_path / "still.npy", tmp_path / "out")


def test_the_network_gets_the_frames_in_order(tmp_path: Path, video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[torch.Tensor] = []
    forward = EncoderForecaster.forward

    def spy(self: EncoderForecaster, frames: torch.Tensor, horizon: int | None = None) -> torch.Tensor:
        seen.append(frames)
        return forward(self, frames, horizon)

    monkeypatch.setattr(EncoderForecaster, "forward", spy)
    one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=9))
    expected = torch.from_numpy(np.load(video)[5:9]).permute(0, 3, 1, 2)[None].float() / 255
    assert torch.equal(seen[0], expected)


def test_an_input_called_dot_gets_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, images = make_run(tmp_path / "run"), tmp_path / "images"
    images.mkdir()
    for number, frame in enumerate(moving_square(6, seed=0)):
        (images / f"{number}.png").write_bytes(cv2.imencode(".png", frame)[1].tobytes())
    monkeypatch.chdir(images)
    assert one(run, Path(), tmp_path / "out").folder == tmp_path / "out" / "images"


def test_capitals_do_not_tell_folders_apart(tmp_path: Path) -> None:
    for index, name in enumerate(("Clip.npy", "clip.npy")):
        np.save(tmp_path / name, moving_square(6, seed=index))
    inputs = [tmp_path / "Clip.npy", tmp_path / "clip.npy"]
    folders = [
        outcome.folder.name.casefold()
        for _, outcome in predict(inputs, make_run(tmp_path / "run"), tmp_path / "out")
        if isinstance(outcome, Forecast)
    ]
    assert len(set(folders)) == 2


def test_forecasts_of_test_videos_are_never_training_videos(video: Path, tmp_path: Path) -> None:
    """Training on the working directory must not pick up what earlier commands wrote into it."""
    one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=9))
    assert [path for _, path in find_videos([tmp_path])] == [video]
    assert find_videos([tmp_path / "out" / "square"])  # but whoever asks for it gets it


def test_want_of_memory_is_one_inputs_failure(video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr("convlstm_cli.predict.forecast_clip", full)
    with pytest.raises(InputError, match="--frames"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out")
