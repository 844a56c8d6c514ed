"""Files that a prediction writes, also where it fails half-way."""

import errno
import json
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from helpers import moving_square
from prediction import frames_of, make_run, one

from convlstm_cli.errors import InputError, OutputError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.streams import CHUNK
from convlstm_cli.nn import EncoderForecaster
from convlstm_cli.video.colour_bar import ROOM
from convlstm_cli.video.formats import OUTPUT_FORMATS
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.writers.npy import NpyWriter


def test_every_format_is_written(video: Path, tmp_path: Path) -> None:
    formats = ("png", "webm", "mp4", "gif", "lossless", "npy")
    config = PredictConfig(formats=formats, guard=False)
    forecast = one(make_run(tmp_path / "run"), video, tmp_path / "out", config)
    last = np.load(video)[11]
    for path in sorted(forecast.folder.glob("forecast.*")):
        if path.suffix == ".json":
            continue
        written = frames_of(path)
        assert len(written) == 3, path
        assert np.abs(written.mean(axis=-1) - last.mean(axis=-1)).mean() < 8, path
    assert len(list(forecast.folder.glob("forecast.*"))) == 6


@pytest.mark.parametrize("colormap", ["viridis", "none"])
def test_films_of_measured_values_are_in_colours_and_everything_else_is_not(tmp_path: Path, colormap: str) -> None:
    rain = moving_square(8, seed=1, size=ROOM).astype(np.float32) / 10
    np.save(tmp_path / "rain.npy", rain)
    config = PredictConfig(
        formats=("png", "gif", "lossless", "npy"), at=5, guard=False, value_range="0,40", colormap=colormap
    )
    forecast = one(make_run(tmp_path / "run"), tmp_path / "rain.npy", tmp_path / "out", config)
    film, both = (frames_of(forecast.folder / f"{stem}.gif") for stem in ("forecast", "scored/truth-and-forecast"))
    images = frames_of(forecast.folder)
    for plain in (images, frames_of(forecast.folder / "forecast.mkv")):
        assert plain.shape[1:3] == (ROOM, ROOM)
        assert np.ptp(plain.astype(int), axis=3).max() == 0
    colours = np.ptp(film[:, :, :ROOM].astype(int), axis=3)
    if colormap == "none":
        assert (film.shape[2], both.shape[2]) == (ROOM, 2 * ROOM)
        assert colours.max() == 0
    else:
        assert film.shape[2] - ROOM == both.shape[2] - 2 * ROOM > 12
        assert colours.min() > 20
    record = json.loads((forecast.folder / "forecast.json").read_text(encoding="utf-8"))
    assert record["settings"]["colormap"] == colormap


def test_only_images_on_request_are_scored_with_a_picture(long_video: Path, tmp_path: Path) -> None:
    forecast = one(make_run(tmp_path / "run"), long_video, tmp_path / "out", PredictConfig(at=30, formats=("png",)))
    assert [path.name for path in (forecast.folder / "scored").iterdir()] == ["truth-and-forecast.png"]


# Failures half-way


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if "background" in thread.name]


def full_after(frames: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the disk full, as it seems to the writer of arrays."""
    write = NpyWriter._write

    def limited(self: NpyWriter, frame: npt.NDArray[np.uint8]) -> None:
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
    formats = tuple(OUTPUT_FORMATS)
    with pytest.raises(error, match="stopped"):
        one(make_run(tmp_path / "run"), long_video, tmp_path / "out", PredictConfig(at=30, frames=99, formats=formats))
    assert not threads()
    assert not list((tmp_path / "out").iterdir())


def test_truth_that_cannot_be_read_leaves_nothing(tmp_path: Path) -> None:
    source = tmp_path / "images"
    source.mkdir()
    for number, frame in enumerate(moving_square(40, seed=0)):
        cv2.imwrite(str(source / f"{number:04d}.png"), frame)
    for number in range(30, 36):  # more than are left out as a gap
        (source / f"{number:04d}.png").write_bytes(b"no image")
    with pytest.raises(InputError, match=r"0030.png: is damaged"):
        one(make_run(tmp_path / "run"), source, tmp_path / "out", PredictConfig(at=8, frames=30))
    assert not list((tmp_path / "out").iterdir())
