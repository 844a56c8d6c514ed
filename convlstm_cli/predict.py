"""Prediction: the next frames of videos, on disk."""

import contextlib
import json
from collections import Counter, deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from convlstm_cli import device, report
from convlstm_cli.baselines import persistence
from convlstm_cli.device import Compute
from convlstm_cli.errors import ConvLSTMError, InputError
from convlstm_cli.evaluate import Evaluation, forecast_clip, to_float
from convlstm_cli.files import replacing_folder
from convlstm_cli.memory import is_out_of_memory
from convlstm_cli.metrics import score
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.run import Run
from convlstm_cli.settings import PredictConfig
from convlstm_cli.video.colour import Frame, is_grey, to_channels
from convlstm_cli.video.library import find_videos
from convlstm_cli.video.reader import open_video
from convlstm_cli.video.writer import FORMATS, open_writer

RECORD = "forecast.json"
"""The file that makes a folder a forecast."""
DEFAULT_FPS = 10.0
"""Of videos made from sources that have none, such as folders of images."""


@dataclass(frozen=True)
class Forecast:
    """The forecast of one input, on disk. Frame numbers count from 1."""

    source: Path
    folder: Path
    first_input_frame: int
    """Number, in the source, of the first frame that the model read."""
    last_input_frame: int
    """Number of the last one; `frame_000001.png` forecasts the frame after it."""
    frames: int
    """Frames that were forecast."""
    fps: float
    scores: dict[str, Any] | None
    """Of the model and of persistence, at the model's size, where the truth is known."""


def predict(
    inputs: Sequence[str | Path],
    run: Run,
    output: Path,
    config: PredictConfig | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[Path, Forecast | ConvLSTMError]]:
    """Forecasts videos, image folders, arrays, or every video in a folder.

    Each input is written whole into `output`/STEM, or not at all; an older forecast of the same name is
    replaced. Yields each input with its forecast, or with the error that it failed with, and goes on.

    Raises:
        UsageError: a device that is not there.
        RunError: a run without usable weights.
    """
    config = config or PredictConfig()
    progress = progress or Progress()
    compute = device.choose(config.device, config.precision)
    model = run.load_model(compute.device)
    sources = _sources(inputs)
    names = _output_names([source for source in sources if isinstance(source, Path)])
    for done, source in enumerate(sources):
        if isinstance(source, tuple):
            yield source
            continue
        progress.predicting(source.name, done, len(sources))
        outcome: Forecast | ConvLSTMError
        try:
            outcome = predict_video(source, model, run, output / names[source], config, compute, progress)
        except ConvLSTMError as error:
            outcome = error
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            outcome = InputError(f"{source}: takes more memory than there is; lower --frames or choose --size model.")
        progress.finished()  # before the caller shows the outcome
        yield source, outcome


def predict_video(
    source: Path,
    model: EncoderForecaster,
    run: Run,
    folder: Path,
    config: PredictConfig,
    compute: Compute,
    progress: Progress,
) -> Forecast:
    """Forecasts one input into `folder`. Raises InputError or OutputError."""
    horizon = model.config.horizon if config.frames is None else config.frames
    clip = _read(source, model.config.input_frames, horizon, config.at)
    last = clip.inputs[-1]
    if len(clip.inputs) < model.config.input_frames:
        progress.note(
            f"{source}: gives the model {len(clip.inputs)} frames and it was trained on {model.config.input_frames}; "
            "expect less of the forecast."
        )
    if clip.truth and run.was_trained_on(source, clip.last + 1, clip.last + len(clip.truth)):
        progress.note(f"{source}: {run.name} was trained on frames of it, so its scores flatter the forecast.")
    grey = clip.grey
    if model.config.channels == 1 and not grey:
        progress.note(f"{source}: is in colour and {run.name} was trained on grey frames; the forecast is grey.")
        grey = True
    channels = 1 if grey else 3
    height, width = last.shape[:2]

    def to_output(frame: Frame) -> Frame:
        """A frame at the model's size to the one that is written."""
        frame = to_channels(frame, channels)
        if config.size == "source":
            frame = run.geometry.restore(frame, height, width, to_channels(last, channels))
        return frame

    frames = _to_tensor(clip.inputs, run, model, compute)  # (1, T, C, H, W)
    forecast = forecast_clip(model, frames, horizon, compute)
    fps = config.fps or clip.fps or DEFAULT_FPS
    with replacing_folder(folder, RECORD) as partial:
        scores = None
        if clip.truth:
            truth = _to_tensor(clip.truth, run, model, compute)
            known = forecast[:, : truth.shape[1]]
            scores = Evaluation(score(known, truth), score(persistence(frames, truth.shape[1]), truth)).to_dict()
            # In a folder of its own, so that the frames above it stay a sequence of images.
            scored = partial / "scored" / "truth-and-forecast"
            report.write_strip(
                scored.with_suffix(".png"),
                {"input": frames[0], "truth": truth[0], "forecast": known[0]},
            )
            shown = clip.truth if config.size == "source" else _to_frames(truth)
            beside = (
                np.hstack((to_channels(true, channels), to_output(frame)))
                for true, frame in zip(shown, _to_frames(known), strict=True)
            )
            _write(scored, beside, [kind for kind in config.formats if kind != "png"], fps)
        _write(partial / "forecast", map(to_output, _to_frames(forecast)), config.formats, fps)
        record = Forecast(source, folder, clip.last - len(clip.inputs) + 1, clip.last, horizon, fps, scores)
        content = {**asdict(record), "run": run.folder, "settings": asdict(config)}
        (partial / RECORD).write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
    return record


def _sources(inputs: Sequence[str | Path]) -> list[Path | tuple[Path, ConvLSTMError]]:
    """The videos behind the inputs; an input that cannot be used stands beside its error."""
    sources: list[Path | tuple[Path, ConvLSTMError]] = []
    for entry in map(Path, inputs):
        try:
            found = [path for _, path in find_videos([entry])]
            if not found:
                raise InputError(
                    f"{entry}: holds no videos; give videos, image folders, .npy arrays or folders of them."
                )
            sources += found
        except ConvLSTMError as error:
            sources.append((entry, error))
    return list(dict.fromkeys(sources))


def _output_names(sources: list[Path]) -> dict[Path, str]:
    """A folder name for each input: its stem, with the suffix and then a number where stems are shared."""
    stems = Counter(map(_key, sources))
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for source in sources:
        whole = source.resolve()  # "." has no name
        name = whole.stem if stems[_key(source)] == 1 else whole.name.replace(".", "_")
        unique, number = name, 2
        while unique.casefold() in taken:
            unique, number = f"{name}-{number}", number + 1
        taken.add(unique.casefold())
        names[source] = unique
    return names


def _key(source: Path) -> str:
    """What two stems share where the file system takes capitals for small letters."""
    return source.resolve().stem.casefold()


@dataclass(frozen=True)
class _Clip:
    inputs: list[Frame]
    truth: list[Frame]
    """Frames that follow the inputs, as many as are known; empty at the end of a video."""
    last: int
    """Number of the last input frame, counting from 1."""
    fps: float | None
    grey: bool
    """Whether no input frame has colour."""


def _read(source: Path, input_frames: int, horizon: int, at: int | None) -> _Clip:
    """The last frames up to `at`, or to the end, and what follows them. Holds no more than it returns."""
    inputs: deque[Frame] = deque(maxlen=input_frames)
    truth: list[Frame] = []
    last = 0
    with open_video(source) as video:
        for frame in video:
            if at is None or last < at:
                inputs.append(frame)
                last += 1
            elif len(truth) < horizon:
                truth.append(frame)
            else:
                break
        fps = video.fps
        grey = all(is_grey(frame, video.grey_tolerance) for frame in inputs)
    if at is not None and last < at:
        raise InputError(f"{source}: has {last} frames, so --at can be at most {last}, not {at}.")
    if len(inputs) < 2:
        raise InputError(
            f"{source}: a single frame shows no motion; give a video of at least 2 frames or a later --at."
        )
    return _Clip(list(inputs), truth, last, fps, grey)


def _to_tensor(frames: list[Frame], run: Run, model: EncoderForecaster, compute: Compute) -> Tensor:
    """Source frames as the model takes them: (1, T, C, H, W) in [0, 1]."""
    channels = model.config.channels
    fitted = np.stack([run.geometry.fit_frame(to_channels(frame, channels)) for frame in frames])  # (T, H, W, C)
    return to_float(torch.from_numpy(fitted).permute(0, 3, 1, 2)[None], compute.device)


def _to_frames(clip: Tensor) -> Iterator[Frame]:
    """(1, T, C, H, W) in [0, 1] as uint8 (H, W, C), one after another."""
    return map(report.to_frame, clip[0])


def _write(stem: Path, frames: Iterable[Frame], formats: Sequence[str], fps: float) -> None:
    """Writes the frames in each format: as `stem` with its suffix, or for PNG into the folder of `stem`."""
    with contextlib.ExitStack() as stack:
        paths = {kind: stem.with_suffix(FORMATS[kind]) if FORMATS[kind] else stem.parent for kind in formats}
        writers = [stack.enter_context(open_writer(path, kind, fps)) for kind, path in paths.items()]
        for frame in frames if writers else ():
            for writer in writers:
                writer.write(frame)
