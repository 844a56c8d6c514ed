import dataclasses
import errno
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import data_record, moving_square

from convlstm_cli.cli import views
from convlstm_cli.compute.device import choose
from convlstm_cli.errors import ConvLSTMError, InputError, OutputError, UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.inference import forecast_clip
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.predict import CHUNK, STRIP_FRAMES, Forecast, predict
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.scores import score
from convlstm_cli.video.library import find_videos
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.reader import open_video
from convlstm_cli.video.writer import NpyWriter


def make_run(folder: Path, channels: int = 1, fit: str = "pad", size: int = 32) -> Run:
    """A run whose network copies the last frame, so that what comes out is known."""
    model = {"height": size, "width": size, "channels": channels, "hidden": [4], "kernel_size": 3}
    model |= {"input_frames": 4, "horizon": 3, "forecaster": "unconditioned", "head": "residual"}
    data = data_record(size, size, channels, fit)
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
    stream = EncoderForecaster.stream

    def spy(self: EncoderForecaster, frames: torch.Tensor, horizon: int, **options: Any) -> Iterator[torch.Tensor]:
        seen.append(frames)
        return stream(self, frames, horizon, **options)

    monkeypatch.setattr(EncoderForecaster, "stream", spy)
    one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=9, device="cpu"))
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

    monkeypatch.setattr("convlstm_cli.predict.forecast_chunks", full)
    with pytest.raises(InputError, match="memory than there is; choose --size model"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out")


# At the source's own size


def lively(run: Run) -> Run:
    """Lets a run's network change what it copies."""
    network = run.load_model(torch.device("cpu"))
    torch.manual_seed(0)
    torch.nn.init.normal_(network.head.conv.weight, std=0.3)
    run.save_weights(network.state_dict())
    return run


def test_a_source_of_the_trained_size_has_the_same_forecast_at_its_own(video: Path, tmp_path: Path) -> None:
    run, config = lively(make_run(tmp_path / "run")), PredictConfig(at=9)
    usual = one(run, video, tmp_path / "usual", config)
    native = one(run, video, tmp_path / "native", dataclasses.replace(config, native_size=True))
    names = sorted(path.relative_to(usual.folder) for path in usual.folder.rglob("*.png"))
    assert len(names) == 4
    for name in names:
        assert (native.folder / name).read_bytes() == (usual.folder / name).read_bytes()
    assert native.scores == usual.scores
    assert "at native size" in views.forecast_line(native)
    assert "at the model's size" in views.forecast_line(usual)


@pytest.mark.parametrize("fit", ["pad", "crop"])
@pytest.mark.parametrize("tile", ["auto", 24])
def test_an_odd_source_comes_back_exactly_whatever_the_fit(fit: str, tile: int, tmp_path: Path) -> None:
    source = tmp_path / "odd.npy"
    frames = np.random.default_rng(0).integers(0, 256, (8, 35, 53, 3), np.uint8)
    np.save(source, frames)
    config = PredictConfig(at=5, formats=("png",), native_size=True, tile=tile)  # type: ignore[arg-type]
    forecast = one(make_run(tmp_path / "run", channels=3, fit=fit), source, tmp_path / "out", config)
    written = frames_of(forecast.folder)
    assert written.shape == (3, 35, 53, 3)
    np.testing.assert_array_equal(written[2], frames[4])  # the network copies, and nothing was scaled
    assert forecast.scores is not None
    expected = np.square((frames[4] - frames[5:].astype(float)) / 255).mean(axis=(1, 2, 3))
    assert forecast.scores["model"]["by_lead_time"]["mse"] == pytest.approx(expected, rel=1e-4)
    record = json.loads((forecast.folder / "forecast.json").read_text())
    assert record["native_size"] is True
    assert (record["tiles"][0]["count"] > 1) == (tile != "auto")


def test_little_memory_is_told_and_tiled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "large.npy", np.zeros((5, 160, 200), np.uint8))
    monkeypatch.setattr("convlstm_cli.compute.device.free_memory", lambda _device: 1)
    progress, config = Notes(), PredictConfig(frames=9, formats=("png",), native_size=True)
    run = make_run(tmp_path / "run")
    [(_, forecast)] = predict([tmp_path / "large.npy"], run, tmp_path / "out", config, progress)
    assert isinstance(forecast, Forecast)
    assert any("in 9 tiles of 88x100" in note for note in progress.notes), progress.notes
    assert len(list(forecast.folder.iterdir())) == 9 + 1  # the frames and the record; no file of sums


def test_full_peepholes_hold_for_one_size(video: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    run.config["model"]["peephole"] = "full"
    with pytest.raises(UsageError, match=r"run has --peephole full, .* 32x32, .* leave --native-size out"):
        list(predict([video], run, tmp_path / "out", PredictConfig(native_size=True)))


def test_a_tiny_source_has_no_native_forecast(tmp_path: Path) -> None:
    np.save(tmp_path / "tiny.npy", np.zeros((5, 8, 40), np.uint8))
    with pytest.raises(InputError, match=r"tiny.npy: is 8x40 pixels; --native-size needs 16"):
        one(make_run(tmp_path / "run"), tmp_path / "tiny.npy", tmp_path / "out", PredictConfig(native_size=True))


@pytest.mark.parametrize(("tile", "advice"), [("auto", r"try --tile 20\."), (20, "leave --native-size out")])
def test_want_of_memory_names_a_tile_to_try(
    tile: int, advice: str, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA out of memory")

    monkeypatch.setattr("convlstm_cli.forecasting.tiling.forecast_chunks", full)
    config = PredictConfig(native_size=True, tile=tile)  # type: ignore[arg-type]
    with pytest.raises(InputError, match=rf"square.npy: takes more memory .* \d+x\d+ pixels at a time; .*{advice}"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out", config)
    assert not list((tmp_path / "out").iterdir())


# A forecast longer than what is computed at a time


@pytest.fixture
def long_video(tmp_path: Path) -> Path:
    path = tmp_path / "long.npy"
    np.save(path, moving_square(60, seed=3))
    return path


@pytest.mark.parametrize("frames", [CHUNK - 1, CHUNK, 2 * CHUNK + 1, 60])
def test_chunks_are_invisible_in_what_is_written(frames: int, long_video: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    network = run.load_model(torch.device("cpu"))
    torch.manual_seed(0)
    torch.nn.init.normal_(network.head.conv.weight, std=0.3)
    run.save_weights(network.state_dict())
    forecast = one(run, long_video, tmp_path / "out", PredictConfig(at=30, frames=frames, formats=("png", "lossless")))
    clip = torch.from_numpy(np.load(long_video)).permute(0, 3, 1, 2)[None].float() / 255
    expected = forecast_clip(network, clip[:, 26:30], frames, choose("cpu"))
    pixels = (expected[0] * 255).permute(0, 2, 3, 1).numpy()
    written = frames_of(forecast.folder)
    assert np.abs(written - pixels).max() < 0.51  # rounded
    known = min(frames, 30)
    truth = clip[:, 30 : 30 + known]
    assert forecast.scores is not None
    for who, of in (("model", expected[:, :known]), ("persistence", clip[:, 29:30].expand_as(truth))):
        for name in ("mse", "mae", "ssim"):
            assert forecast.scores[who]["by_lead_time"][name] == pytest.approx(
                getattr(score(of, truth), name), rel=1e-4
            )
    beside = frames_of(forecast.folder / "scored" / "truth-and-forecast.mkv")
    np.testing.assert_array_equal(
        beside[..., :1], np.concatenate((np.load(long_video)[30:][:known], written[:known]), 2)
    )
    strip = cv2.imread(str(forecast.folder / "scored" / "truth-and-forecast.png"))
    assert strip.shape[1] < (min(known, STRIP_FRAMES) + 1) * 100 + 100


def test_only_images_on_request_are_scored_with_a_picture(long_video: Path, tmp_path: Path) -> None:
    forecast = one(make_run(tmp_path / "run"), long_video, tmp_path / "out", PredictConfig(at=30, formats=("png",)))
    assert [path.name for path in (forecast.folder / "scored").iterdir()] == ["truth-and-forecast.png"]


PEAK_MEMORY = """
import resource, sys
from pathlib import Path
from typing import Any
from convlstm_cli.predict import predict
from convlstm_cli.runs.run import Run
from convlstm_cli.forecasting.config import PredictConfig

def peak(frames):
    config = PredictConfig(at=4, frames=frames, formats=("npy",))
    [(_, outcome)] = predict([Path(sys.argv[2])], Run.open(Path(sys.argv[1])), Path(sys.argv[3]), config)
    assert outcome.frames == frames, outcome
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

first = peak(50)
print(first, peak(800))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts otherwise elsewhere")
def test_memory_does_not_grow_with_the_horizon(tmp_path: Path) -> None:
    """800 frames of forecast and truth would be 100 MB as the network gives them, and more while they are scored."""
    run, source = make_run(tmp_path / "run", size=128), tmp_path / "images"
    source.mkdir()
    for number, frame in enumerate(moving_square(804, seed=0, size=128)):
        cv2.imwrite(str(source / f"{number:04d}.png"), frame)
    done = subprocess.run(
        [sys.executable, "-c", PEAK_MEMORY, run.folder, source, tmp_path / "out"],
        capture_output=True,
        text=True,
        check=True,
    )
    after_50, after_800 = (int(kilobytes) / 1024 for kilobytes in done.stdout.split())
    assert after_800 - after_50 < 30, (after_50, after_800)


# Failures half-way


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "background" in thread.name]


def full_after(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the disk full, as it seems to the writer of arrays."""
    write = NpyWriter._write

    def limited(self: NpyWriter, frame: np.ndarray) -> None:
        assert threading.current_thread() is not threading.main_thread()
        if self.frames > frames:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write(self, frame)

    monkeypatch.setattr(NpyWriter, "_write", limited)


@pytest.mark.parametrize("frames", [0, 1, CHUNK, 3 * CHUNK - 1])
@pytest.mark.parametrize("at", [None, 30])
def test_a_full_disk_is_one_error_and_leaves_what_was_there(
    frames: int, at: int | None, long_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, config = make_run(tmp_path / "run"), PredictConfig(frames=3 * CHUNK, at=at, formats=("png", "npy", "webm"))
    one(run, long_video, tmp_path / "out", PredictConfig(frames=1, formats=("png",)))
    full_after(frames, monkeypatch)
    with pytest.raises(OutputError, match=r"npy: cannot be written \(No space left on device\)"):
        one(run, long_video, tmp_path / "out", config)
    assert not threads()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["long"]
    assert len(list((tmp_path / "out" / "long").glob("frame_*.png"))) == 1


def test_a_full_disk_ends_the_computation(long_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    computed = []
    forecast = EncoderForecaster._forecast

    def spy(self: EncoderForecaster, *args: object) -> object:
        computed.append(args)
        return forecast(self, *args)  # type: ignore[arg-type]

    monkeypatch.setattr(EncoderForecaster, "_forecast", spy)
    full_after(3, monkeypatch)
    with pytest.raises(OutputError, match="No space"):
        one(make_run(tmp_path / "run"), long_video, tmp_path / "out", PredictConfig(frames=1000, formats=("npy",)))
    assert len(computed) <= 3
    assert not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("error", [KeyboardInterrupt, InputError])
def test_a_stop_while_computing_leaves_nothing(
    error: type[BaseException], long_video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = EncoderForecaster.stream

    def stopped(self: EncoderForecaster, *args: object, **options: object) -> Iterator[torch.Tensor]:
        pieces = stream(self, *args, **options)  # type: ignore[arg-type]
        yield next(pieces)
        yield next(pieces)
        raise error("stopped")

    monkeypatch.setattr(EncoderForecaster, "stream", stopped)
    formats = ("png", "webm", "mp4", "gif", "lossless", "npy")
    with pytest.raises(error, match="stopped"):
        one(make_run(tmp_path / "run"), long_video, tmp_path / "out", PredictConfig(at=30, frames=99, formats=formats))
    assert not threads()
    assert not list((tmp_path / "out").iterdir())


def test_truth_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    for number, frame in enumerate(moving_square(40, seed=0)):
        cv2.imwrite(str(source / f"{number:04d}.png"), frame)
    (source / "0030.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"0030.png: is damaged"):
        one(make_run(tmp_path / "run"), source, tmp_path / "out", PredictConfig(at=8, frames=30))
    assert not list((tmp_path / "out").iterdir())
