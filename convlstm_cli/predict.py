"""Prediction: the next frames of videos, on disk."""

import contextlib
import itertools
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from convlstm_cli import device, report
from convlstm_cli.background import in_background
from convlstm_cli.baselines import persistence
from convlstm_cli.device import Compute
from convlstm_cli.errors import ConvLSTMError, InputError
from convlstm_cli.evaluate import Evaluation, forecast_chunks, to_float
from convlstm_cli.files import replacing_folder
from convlstm_cli.memory import is_out_of_memory
from convlstm_cli.metrics import score
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.run import Run
from convlstm_cli.settings import PredictConfig
from convlstm_cli.video.colour import Frame, is_grey, to_channels
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import find_videos
from convlstm_cli.video.reader import VideoReader, open_video
from convlstm_cli.video.writer import FORMATS, FrameWriter, open_writer

RECORD = "forecast.json"
"""The file that makes a folder a forecast."""
DEFAULT_FPS = 10.0
"""Of videos made from sources that have none, such as folders of images."""
CHUNK = 8
"""Frames computed at a time, and waiting to be written: few for memory, enough to lose no time between chunks."""
STRIP_FRAMES = 20
"""Lead times that the picture of a scored forecast shows at most."""
SCORED = Path("scored", "truth-and-forecast")
"""What a scored forecast adds: in a folder of its own, so that the frames above it stay a sequence of images."""


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
            outcome = InputError(f"{source}: takes more memory than there is; choose --size model, or --device cpu.")
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
    """Forecasts one input into `folder`, in memory that depends on neither its length nor the horizon's.

    Raises InputError or OutputError.
    """
    horizon = model.config.horizon if config.frames is None else config.frames
    with open_video(source) as video:
        clip = _read(video, model.config.input_frames, config.at)
        if len(clip.inputs) < model.config.input_frames:
            progress.note(
                f"{source}: gives the model {len(clip.inputs)} frames and it was trained on "
                f"{model.config.input_frames}; expect less of the forecast."
            )
        grey = clip.grey
        if model.config.channels == 1 and not grey:
            progress.note(f"{source}: is in colour and {run.name} was trained on grey frames; the forecast is grey.")
            grey = True
        look = _Look(run.geometry, config.size, to_channels(clip.inputs[-1], 1 if grey else 3))
        frames = _to_tensor(clip.inputs, run, model, compute)  # (1, T, C, H, W)
        fps = config.fps or clip.fps or DEFAULT_FPS
        with replacing_folder(folder, RECORD) as partial:
            known = _Known(frames)
            with _writing(partial, look, config.formats, fps, scored=clip.followed) as write:
                for chunk in forecast_chunks(model, frames, horizon, CHUNK, compute):
                    following = list(itertools.islice(clip.following, chunk.shape[1]))
                    if following:
                        truth = _to_tensor(following, run, model, compute)
                        known.add(chunk[:, : len(following)], truth)
                        if config.size == "model":
                            following = list(_to_frames(truth))
                    for frame, true in itertools.zip_longest(_to_frames(chunk), following):
                        write(frame, true)
            if clip.followed:
                report.write_strip(partial / SCORED.with_suffix(".png"), known.strip_rows())
            scores = known.evaluation.to_dict() if clip.followed else None
            record = Forecast(source, folder, clip.last - len(clip.inputs) + 1, clip.last, horizon, fps, scores)
            content = {**asdict(record), "run": run.folder, "settings": asdict(config)}
            (partial / RECORD).write_text(json.dumps(content, indent=2, default=str) + "\n", encoding="utf-8")
    if clip.followed and run.was_trained_on(source, clip.last + 1, clip.last + known.frames):
        progress.note(f"{source}: {run.name} was trained on frames of it, so its scores flatter the forecast.")
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
    """What is forecast from, and what is known of the future."""

    inputs: list[Frame]
    last: int
    """Number of the last input frame, counting from 1."""
    following: Iterator[Frame]
    """The frames after it, which are read from the video as they are asked for."""
    followed: bool
    """Whether there is any."""
    fps: float | None
    grey: bool
    """Whether no input frame has colour."""


def _read(video: VideoReader, input_frames: int, at: int | None) -> _Clip:
    """The last frames up to `at`, or to the end."""
    inputs: deque[Frame] = deque(maxlen=input_frames)
    last = 0
    for frame in itertools.islice(video, at):
        inputs.append(frame)
        last += 1
    if at is not None and last < at:
        raise InputError(f"{video.path}: has {last} frames, so --at can be at most {last}, not {at}.")
    if len(inputs) < 2:
        raise InputError(
            f"{video.path}: a single frame shows no motion; give a video of at least 2 frames or a later --at."
        )
    grey = all(is_grey(frame, video.grey_tolerance) for frame in inputs)
    ahead = list(itertools.islice(video, 1))
    return _Clip(list(inputs), last, itertools.chain(ahead, video), bool(ahead), video.fps, grey)


@dataclass(frozen=True)
class _Look:
    """How written frames look."""

    geometry: FrameGeometry
    size: Literal["source", "model"]
    last: Frame
    """The last input frame, at the source's size and in the colour that is written."""

    def forecast(self, frame: Frame) -> Frame:
        """A frame at the model's size as it is written."""
        frame = self.coloured(frame)
        if self.size == "source":
            height, width = self.last.shape[:2]
            frame = self.geometry.restore(frame, height, width, self.last)
        return frame

    def coloured(self, frame: Frame) -> Frame:
        """A frame of any size, grey or in colour as it is written."""
        return to_channels(frame, self.last.shape[2])


class _Known:
    """The forecast of frames that are known, scored beside persistence."""

    def __init__(self, inputs: Tensor) -> None:
        self._inputs = inputs  # (1, T, C, H, W)
        self._shown: list[tuple[Tensor, Tensor]] = []  # of the first lead times, truth and forecast (C, H, W)
        self.evaluation = Evaluation()
        self.frames = 0
        """Lead times that are scored so far."""

    def add(self, forecast: Tensor, truth: Tensor) -> None:
        """Scores the lead times that follow, (1, n, C, H, W) each."""
        self.evaluation.model.extend(score(forecast, truth))
        self.evaluation.persistence.extend(score(persistence(self._inputs, truth.shape[1]), truth))
        left = STRIP_FRAMES - len(self._shown)
        # Copies, since a view keeps all that was computed with it.
        self._shown += [
            (true.clone(), frame.clone()) for true, frame in zip(truth[0, :left], forecast[0], strict=False)
        ]
        self.frames += truth.shape[1]

    def strip_rows(self) -> dict[str, Tensor]:
        """The rows of the picture."""
        truth, forecast = (torch.stack(row) for row in zip(*self._shown, strict=True))
        return {"input": self._inputs[0], "truth": truth, "forecast": forecast}


@contextlib.contextmanager
def _writing(
    folder: Path, look: _Look, formats: Sequence[str], fps: float, *, scored: bool
) -> Iterator[Callable[[Frame, Frame | None], None]]:
    """Gives a function that takes frames of the forecast, each with what is known to have followed instead.

    It hands them to a thread, which writes them in each format: the forecast alone and, where `scored`, in a video
    beside the truth.
    """
    with contextlib.ExitStack() as stack:
        alone = _open(stack, folder / "forecast", formats, fps)
        both = _open(stack, folder / SCORED, [kind for kind in formats if kind != "png"], fps) if scored else []

        def write(frame: Frame, true: Frame | None) -> None:
            frame = look.forecast(frame)
            for writer in alone:
                writer.write(frame)
            if both and true is not None:
                beside = np.hstack((look.coloured(true), frame))
                for writer in both:
                    writer.write(beside)

        # Last, so that the thread has ended before a writer is closed.
        yield stack.enter_context(in_background(write, ahead=CHUNK))


def _open(stack: contextlib.ExitStack, stem: Path, formats: Sequence[str], fps: float) -> list[FrameWriter]:
    """A writer for each format: to `stem` with its suffix, or for PNG into the folder of `stem`."""
    paths = {kind: stem.with_suffix(FORMATS[kind]) if FORMATS[kind] else stem.parent for kind in formats}
    return [stack.enter_context(open_writer(path, kind, fps)) for kind, path in paths.items()]


def _to_tensor(frames: list[Frame], run: Run, model: EncoderForecaster, compute: Compute) -> Tensor:
    """Source frames as the model takes them: (1, T, C, H, W) in [0, 1]."""
    channels = model.config.channels
    fitted = np.stack([run.geometry.fit_frame(to_channels(frame, channels)) for frame in frames])  # (T, H, W, C)
    return to_float(torch.from_numpy(fitted).permute(0, 3, 1, 2)[None], compute.device)


def _to_frames(clip: Tensor) -> Iterator[Frame]:
    """(1, T, C, H, W) in [0, 1] as uint8 (H, W, C), one after another."""
    return map(report.to_frame, clip[0])
