"""Prediction: the next frames of videos, on disk."""

import contextlib
import itertools
import json
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convlstm_cli.compute import device
from convlstm_cli.compute.background import in_background
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.errors import ConvLSTMError, InputError, UsageError
from convlstm_cli.files import replacing, replacing_folder, sweep, unique
from convlstm_cli.forecasting import finished, tiling
from convlstm_cli.forecasting.config import MIN_TILE, PredictConfig
from convlstm_cli.forecasting.ensemble import check_members, lockstep
from convlstm_cli.forecasting.finished import HOLDS, MADE_FROM, RECORD
from convlstm_cli.forecasting.inference import forecast_chunks, to_float
from convlstm_cli.forecasting.shards import Shard
from convlstm_cli.forecasting.tiling import Tiling, forecast_tiles
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.reporting import pictures
from convlstm_cli.reporting.spread_maps import COLOUR_MAP, SpreadMaps
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import persistence
from convlstm_cli.scoring.evaluation import Evaluation
from convlstm_cli.scoring.metrics import finite, mean, spread_skill
from convlstm_cli.scoring.scores import score
from convlstm_cli.settings import MIN_SIDE
from convlstm_cli.video.colour import Frame, is_grey, to_channels
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import find_videos
from convlstm_cli.video.reader import VideoReader, cut_off, open_video
from convlstm_cli.video.writer import FORMATS, FrameWriter, open_writer

DEFAULT_FPS = 10.0
"""Of videos made from sources that have none, such as folders of images."""
CHUNK = 8
"""Frames computed at a time, and waiting to be written: few for memory, enough to lose no time between chunks."""
LONGEST_NAME = 150
"""Bytes of the name of a forecast's folder."""
STRIP_FRAMES = 20
"""Lead times that the picture of a scored forecast shows at most."""
STRIP_SIDE = 256
"""Pixels of a side of a frame in that picture at most: it has dozens of them."""
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
    """Of the model (an ensemble: of its mean) and of persistence, at the size that the model worked at, where the
    truth is known; of an ensemble also the spread-skill ratio."""
    native_size: bool = False
    """Whether the model worked at the source's size."""
    spread: dict[str, Any] | None = None
    """Of an ensemble: by lead time, and what the brightest colour of its pictures stands for."""
    kept: bool = False
    """Whether it was there already, so that nothing was computed."""


def predict(
    inputs: Sequence[str | Path],
    run: Run | Sequence[Run],
    output: Path,
    config: PredictConfig | None = None,
    progress: Progress | None = None,
    shard: Shard | None = None,
    ranks: Ranks = ALONE,
) -> Iterator[tuple[Path, Forecast | ConvLSTMError]]:
    """Forecasts videos, image folders, arrays, or every video in a folder.

    Each input is written whole into `output`/STEM, or not at all. A forecast that is there already is kept if it is
    whole and was made from the same input, weights, settings and versions, and replaced otherwise. Yields each input
    with its forecast, or with the error that it failed with, and goes on.

    With a `shard`, only the inputs that are its share, of all inputs sorted by path; names do not depend on it. Several
    processes may so fill one `output` at once; `ranks` tells those of a machine apart, which take an accelerator each.

    Several runs are an ensemble: the forecast is their mean, and pictures of their spread are written beside it. Each
    reads as many of the last frames as it was trained on; unless `config.frames` is given, as many are forecast as the
    shortest training had.

    Raises:
        UsageError: a device that is not there, runs that make no ensemble, or one that works at its own size only.
        RunError: a run without usable weights.
    """
    config = config or PredictConfig()
    progress = progress or Progress()
    runs = (run,) if isinstance(run, Run) else tuple(run)
    if not isinstance(run, Run):
        check_members(runs, native_size=config.native_size)
    if config.native_size:
        _check_any_size(runs)
    compute = device.choose(config.device, config.precision, ranks)
    sources = _sources(inputs)
    names = _output_names([source for source in sources if isinstance(source, Path)])
    sweep(output)
    if shard is not None and shard.count > 1:
        share = shard.of(sorted(sources, key=lambda source: source if isinstance(source, Path) else source[0]))
        told = f"takes {len(share)} of {len(sources)} inputs" if share else "has nothing to do: it has no share"
        progress.note(f"shard {shard} (by {shard.told_by}) {told}; --shard 0/1 takes all")
        sources = list(share)
    members = [(member, member.load_model(compute.device)) for member in runs]
    networks = [finished.network_digest(member, model) for member, model in members]
    for done, source in enumerate(sources):
        if isinstance(source, tuple):
            yield source
            continue
        progress.predicting(source.name, done, len(sources))
        outcome: Forecast | ConvLSTMError
        try:
            folder = output / names[source]
            origin = finished.made_from(source, networks, config)
            outcome = _kept(source, folder, origin) or predict_video(
                source, members, folder, config, compute, progress, origin
            )
            _tell_if_flattered(outcome, runs, progress)
        except UsageError:
            raise  # of an option, so it would be the same for every input
        except ConvLSTMError as error:
            outcome = error
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            instead = "leave --native-size out" if config.native_size else "choose --size model"
            outcome = InputError(f"{source}: takes more memory than there is; {instead}, or --device cpu.")
        progress.finished()  # before the caller shows the outcome
        yield source, outcome


def predict_video(
    source: Path,
    members: Sequence[tuple[Run, EncoderForecaster]],
    folder: Path,
    config: PredictConfig,
    compute: Compute,
    progress: Progress,
    origin: dict[str, Any],
) -> Forecast:
    """Forecasts one input into `folder`, in memory that depends on neither its length nor the horizon's.

    `members` is a run with its network, or several that agree (`ensemble.check_members`); `origin` is
    `finished.made_from` of them all.

    Raises InputError or OutputError.
    """
    models = [model for _, model in members]
    run, channels = members[0][0], models[0].config.channels
    name = run.name if len(members) == 1 else "the ensemble"
    geometry = None if config.native_size else run.geometry
    horizon = min(model.config.horizon for model in models) if config.frames is None else config.frames
    with open_video(source) as video:
        clip = _read(video, max(model.config.input_frames for model in models), config.at)
        if len(clip.inputs) < max(model.config.input_frames for model in models):
            progress.note(
                f"{source}: gives the model {len(clip.inputs)} frames and it was trained on "
                f"{max(model.config.input_frames for model in models)}; expect less of the forecast."
            )
        grey = clip.grey
        if config.at is None and (told := cut_off(clip.last, video.declared_frames)) is not None:
            progress.note(f"{source}: {told}")
        if channels == 1 and not grey:
            progress.note(f"{source}: is in colour and {name} was trained on grey frames; the forecast is grey.")
            grey = True
        look = _Look(geometry, config.size, to_channels(clip.inputs[-1], 1 if grey else 3))
        frames = _fitted(clip.inputs, geometry, channels)  # (1, T, C, H, W) uint8
        tilings = _tilings(source, models, frames, config, compute, progress) if config.native_size else None
        fps = config.fps or clip.fps or DEFAULT_FPS
        with replacing_folder(folder, RECORD) as partial, _memory_told(source, models, tilings, compute):
            known = _Known(frames, len(members))
            maps = SpreadMaps(partial, horizon) if len(members) > 1 else None
            streams = _streams(models, frames, horizon, compute, tilings, partial)
            with _writing(partial, look, config.formats, fps, scored=clip.followed) as write:
                for chunk, spread in lockstep(streams) if maps else ((chunk, None) for chunk in streams[0]):
                    following = list(itertools.islice(clip.following, chunk.shape[1]))
                    if following:
                        truth = _fitted(following, geometry, channels)
                        known.add(chunk, to_float(truth, chunk.device), spread)
                        if config.size == "model":
                            following = list(_bytes(truth))
                    if maps and spread is not None:
                        maps.add(spread)
                    for frame, true in itertools.zip_longest(_to_frames(chunk), following):
                        write(frame, true)
            if clip.followed:
                pictures.write_strip(partial / SCORED.with_suffix(".png"), known.strip_rows())
            record = Forecast(
                source,
                folder,
                clip.last - len(clip.inputs) + 1,
                clip.last,
                horizon,
                fps,
                known.scores() if clip.followed else None,
                config.native_size,
                _write_spread(maps, look, config) if maps else None,
            )
            forecast_by = {"run": run.folder} if len(members) == 1 else {"members": [run.folder for run, _ in members]}
            tiles = {"tiles": [{"count": each.count, "size": each.size} for each in tilings]} if tilings else {}
            # Nothing of where it is written or when, so that equal forecasts are equal byte for byte.
            content = {name: value for name, value in asdict(record).items() if name not in ("folder", "kept")}
            content |= {**forecast_by, **tiles, "settings": asdict(config)}
            content |= {MADE_FROM: origin, HOLDS: finished.holds(partial)}
            with replacing(partial / RECORD) as path, path.open("w", encoding="utf-8") as file:
                json.dump(content, file, indent=2, default=str)  # as text it would grow with the horizon
                file.write("\n")
    return record


def _kept(source: Path, folder: Path, origin: dict[str, Any]) -> Forecast | None:
    """The forecast that is in the folder already, if it is whole and has this origin."""
    record = finished.read_whole(folder, origin)
    if record is None:
        return None
    told = {field.name: record[field.name] for field in fields(Forecast) if field.name in record}
    return Forecast(**{**told, "source": source, "folder": folder, "kept": True})


def _tell_if_flattered(forecast: Forecast, runs: Sequence[Run], progress: Progress) -> None:
    if forecast.scores is None:
        return
    first = forecast.last_input_frame + 1
    last = forecast.last_input_frame + len(forecast.scores["model"]["by_lead_time"]["mse"])
    for run in runs:
        if run.was_trained_on(forecast.source, first, last):
            progress.note(
                f"{forecast.source}: {run.name} was trained on frames of it, so its scores flatter the forecast."
            )


def _check_any_size(runs: Sequence[Run]) -> None:
    """Raises UsageError for a network that is made for one size of frames."""
    for run in runs:
        model = run.model_config
        if model.peephole == "full":
            raise UsageError(
                f"--native-size: {run.folder} has --peephole full, weights for each position of frames of "
                f"{model.height}x{model.width}, and works at no other size; leave --native-size out, or use a run "
                "with --peephole channel or none."
            )


def _tilings(
    source: Path,
    models: Sequence[EncoderForecaster],
    frames: Tensor,
    config: PredictConfig,
    compute: Compute,
    progress: Progress,
) -> list[Tiling]:
    """How each member forecasts frames (1, T, C, H, W) of the source's size."""
    height, width = frames.shape[-2:]
    if min(height, width) < MIN_SIDE:
        raise InputError(
            f"{source}: is {height}x{width} pixels; --native-size needs {MIN_SIDE} at least, so leave it out."
        )
    memory = device.free_memory(compute.device)
    tilings = [
        tiling.choose(
            model.config,
            height,
            width,
            min(frames.shape[1], model.config.input_frames),
            CHUNK,
            tile=config.tile,
            overlap=config.tile_overlap,
            memory=None if memory is None else memory // len(models),  # they go in step, so each holds its states
        )
        for model in models
    ]
    largest = max(tilings, key=lambda each: each.count)
    if config.tile == "auto" and largest.count > 1:
        height, width = largest.size
        progress.note(f"{source}: is computed in {largest.count} tiles of {height}x{width} pixels, to fit into memory.")
    return tilings


def _streams(
    models: Sequence[EncoderForecaster],
    frames: Tensor,
    horizon: int,
    compute: Compute,
    tilings: list[Tiling] | None,
    partial: Path,
) -> list[Iterator[Tensor]]:
    """The forecast of each member, in pieces (1, n, C, H, W); frames are (1, T, C, H, W) uint8."""
    streams = []
    for index, model in enumerate(models):
        seen = frames[:, -model.config.input_frames :]
        if tilings is None:
            streams.append(forecast_chunks(model, to_float(seen, compute.device), horizon, CHUNK, compute))
        else:
            spool = partial / f".tiles-{index}"
            streams.append(forecast_tiles(model, seen, horizon, CHUNK, compute, tilings[index], spool))
    return streams


@contextlib.contextmanager
def _memory_told(
    source: Path, models: Sequence[EncoderForecaster], tilings: list[Tiling] | None, compute: Compute
) -> Iterator[None]:
    """Turns want of memory for a frame or its tiles into an InputError that names the tile to try."""
    try:
        yield
    except Exception as error:
        if tilings is None or not is_out_of_memory(error):
            raise
        free = device.free_memory(compute.device)
        side = min(
            tiling.smaller(
                each, model.config, model.config.input_frames, CHUNK, None if free is None else free // len(models)
            )
            for each, model in zip(tilings, models, strict=True)
        )
        height, width = max((each.size for each in tilings), key=max)
        tried = f"{source}: takes more memory than there is, computed {height}x{width} pixels at a time"
        if side < max(MIN_TILE, *(model.config.patch_size for model in models)):
            raise InputError(f"{tried}; leave --native-size out.") from error
        raise InputError(f"{tried}; try --tile {side}.") from error


def _write_spread(maps: SpreadMaps, look: "_Look", config: PredictConfig) -> dict[str, Any]:
    """Writes the pictures; gives what the record says of them."""
    scale = maps.write(look.spread, keep="npy" in config.formats)
    return {"full_scale": scale, "colour_map": COLOUR_MAP, "by_lead_time": maps.by_lead_time}


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
        name = _stem(source) if stems[_key(source)] == 1 else _name(source).replace(".", "_")
        # OpenCV opens UTF-8 names only, and a system allows 255 bytes, of which numbers and suffixes take some.
        name = "".join(letter if letter.isprintable() else "_" for letter in name)
        name = name.encode()[:LONGEST_NAME].decode(errors="ignore")
        names[source] = unique(name, lambda candidate: candidate.casefold() in taken)
        taken.add(names[source].casefold())
    return names


def _key(source: Path) -> str:
    """What two stems share where the file system takes capitals for small letters."""
    return _stem(source).casefold()


def _stem(source: Path) -> str:
    return Path(_name(source)).stem or "video"


def _name(source: Path) -> str:
    """The last part of a path; of "." and "..", which have none, that of the folder that they mean."""
    return source.name if source.name not in ("", "..") else source.resolve().name


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

    geometry: FrameGeometry | None
    """None where the model works at the source's size."""
    size: Literal["source", "model"]
    last: Frame
    """The last input frame, at the source's size and in the colour that is written."""

    def forecast(self, frame: Frame) -> Frame:
        """A frame at the model's size as it is written."""
        return self._restored(self.coloured(frame), self.last)

    def spread(self, level: Frame) -> tuple[Frame, npt.NDArray[np.bool_]]:
        """A grey picture at the model's size as it is written, and where there is a forecast in it."""
        everywhere = np.full_like(level, 255)
        return self._restored(level, None), self._restored(everywhere, None)[:, :, 0] > 0

    def coloured(self, frame: Frame) -> Frame:
        """A frame of any size, grey or in colour as it is written."""
        return to_channels(frame, self.last.shape[2])

    def _restored(self, frame: Frame, background: Frame | None) -> Frame:
        if self.geometry is None or self.size == "model":
            return frame
        height, width = self.last.shape[:2]
        return self.geometry.restore(frame, height, width, background)


class _Known:
    """The forecast of frames that are known, scored beside persistence."""

    def __init__(self, inputs: Tensor, members: int) -> None:
        self._last = inputs[:, -1:]  # (1, 1, C, H, W) uint8
        self._members = members
        # One after another, since as floats they take four times the memory.
        self._inputs = torch.cat([pictures.thumbnail(frame[None].float() / 255.0, STRIP_SIDE) for frame in inputs[0]])
        self._shown: list[tuple[Tensor, Tensor]] = []  # of the first lead times, truth and forecast (1, C, H, W)
        self._variance: list[float] = []  # mean over the pixels of each lead time
        self._evaluation = Evaluation()

    def add(self, forecast: Tensor, truth: Tensor, spread: Tensor | None) -> None:
        """Scores the lead times that follow, (1, n, C, H, W) each; the forecast, and so the spread, may be longer."""
        copied = persistence(to_float(self._last, truth.device), 1)
        # One after another, since SSIM takes two dozen times the memory of what it is given.
        for lead in range(truth.shape[1]):
            at = slice(lead, lead + 1)
            if len(self._shown) < STRIP_FRAMES:
                self._shown.append(
                    (pictures.thumbnail(truth[0, at], STRIP_SIDE), pictures.thumbnail(forecast[0, at], STRIP_SIDE))
                )
            self._evaluation.model.extend(score(forecast[:, at], truth[:, at]))
            self._evaluation.persistence.extend(score(copied, truth[:, at]))
            if spread is not None:
                self._variance.append(float(spread[:, at].square().mean()))

    def scores(self) -> dict[str, Any]:
        """As forecast.json holds them."""
        scores = self._evaluation.to_dict()
        if self._variance:
            errors, members = self._evaluation.model.mse, self._members
            pairs = [*zip(self._variance, errors, strict=True), (mean(self._variance), mean(errors))]
            *by_lead, overall = (finite(spread_skill(variance, error, members)) for variance, error in pairs)
            scores["spread_skill"] = {"by_lead_time": by_lead, "mean": overall}
        return scores

    def strip_rows(self) -> dict[str, Tensor]:
        """The rows of the picture."""
        truth, forecast = (torch.cat(row) for row in zip(*self._shown, strict=True))
        return {"input": self._inputs, "truth": truth, "forecast": forecast}


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


def _fitted(frames: list[Frame], geometry: FrameGeometry | None, channels: int) -> Tensor:
    """Source frames at the size that the model works at and in its channels: (1, T, C, H, W) uint8."""
    shaped = [to_channels(frame, channels) for frame in frames]
    if geometry is not None:
        shaped = [geometry.fit_frame(frame) for frame in shaped]
    return torch.from_numpy(np.stack(shaped)).permute(0, 3, 1, 2)[None]  # from (T, H, W, C)


def _bytes(clip: Tensor) -> Iterator[Frame]:
    """(1, T, C, H, W) uint8 as (H, W, C), one after another."""
    return (frame.permute(1, 2, 0).numpy() for frame in clip[0])


def _to_frames(clip: Tensor) -> Iterator[Frame]:
    """(1, T, C, H, W) in [0, 1] as uint8 (H, W, C), one after another."""
    return map(pictures.to_frame, clip[0])
