"""Prediction: the next frames of videos, on disk."""

import contextlib
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from torch import Tensor

from convlstm_cli.compute import device
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.errors import ConvLSTMError, InputError, UsageError
from convlstm_cli.files import replacing_folder, sweep
from convlstm_cli.forecasting import finished
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.ensemble import Networks, NetworksByColour, check_members, lockstep
from convlstm_cli.forecasting.inputs import Unusable, find_inputs, output_names, path_of
from convlstm_cli.forecasting.look import Look, fitted
from convlstm_cli.forecasting.members import MembersFile, draws_members, note_uncalibrated, runs_of_members
from convlstm_cli.forecasting.output import MEMBERS, SCORED, write_members, writing_forecast
from convlstm_cli.forecasting.placement import Writing, check_formats, plan_writing
from convlstm_cli.forecasting.prepared import Prepared, open_prepared
from convlstm_cli.forecasting.record import (
    RECORD,
    Contents,
    ForecastRecord,
    GuardRecord,
    MembersRecord,
    Origin,
    SpreadRecord,
    TilesRecord,
)
from convlstm_cli.forecasting.shards import Shard
from convlstm_cli.forecasting.statistics import LeadTime, Statistics, unreachable
from convlstm_cli.forecasting.streams import CHUNK, naming_a_smaller_tile, open_streams
from convlstm_cli.forecasting.tiling.plan import Tiling
from convlstm_cli.forecasting.times import Schedule, ValidTimes
from convlstm_cli.forecasting.units import check_range
from convlstm_cli.forecasting.working_size import check_works_at
from convlstm_cli.predicting.inputs import checked_inputs, guard_inputs
from convlstm_cli.predicting.members import guarded_members, members_of, members_record
from convlstm_cli.progress import Progress
from convlstm_cli.reporting.truth_strip import TruthStrip
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.guarded import GuardedPieces, check_networks, record_of
from convlstm_cli.scoring.guarded_members import GuardedMembers
from convlstm_cli.scoring.known import KnownFuture, KnownScores
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.missing import mark
from convlstm_cli.video.readers import READERS
from convlstm_cli.video.values import BYTES, ValueRange

if TYPE_CHECKING:
    from convlstm_cli.reporting.members_film import MembersFilm
    from convlstm_cli.reporting.spread_maps import SpreadMaps


@dataclass(frozen=True)
class Forecast:
    """The forecast of one input, on disk. Frame numbers count from 1."""

    source: Path
    folder: Path
    first_input_frame: int
    """Number, in the source, of the first frame that the network read."""
    last_input_frame: int
    """Number of the last one; `frame_000001.png` forecasts the frame after it."""
    frames: int
    """Frames that were forecast."""
    fps: float
    scores: KnownScores | None
    """Where the truth is known."""
    last_known_frame: int
    """Number, in the source, of the last frame that it is scored against; the last input frame if there is none."""
    step: float | None = None
    """Seconds from one frame to the next; None where they are unknown."""
    start: str | None = None
    """Date and time of the source's first frame in ISO 8601; None where it has none."""
    valid_times: ValidTimes | None = None
    """The time of each frame: ISO 8601 where the source has dates, else seconds from its first frame."""
    native_size: bool = False
    """Whether the network worked at the source's size."""
    spread: SpreadRecord | None = None
    """Where members made it."""
    members: MembersRecord | None = None
    """Where members were asked for."""
    guard: GuardRecord | None = None
    """What it was mixed of; None without the guard, or where the input is too short for its check."""
    values: ValueRange = BYTES
    """The range of values that was [0, 1] for the network."""
    kept: bool = False
    """Whether the finished forecast of an earlier call is reused, so that nothing was computed."""

    @classmethod
    def from_record(cls, record: ForecastRecord, source: Path, folder: Path) -> "Forecast":
        """The finished forecast of a source in a folder. Raises ValueError for scores that are damaged."""
        shared = {field.name for field in fields(cls)} & {field.name for field in fields(record)}
        values = {name: getattr(record, name) for name in shared}
        scores = None if record.scores is None else KnownScores.from_dict(record.scores)
        return cls(**values | {"source": source, "folder": folder, "scores": scores, "kept": True})

    def to_dict(self) -> dict[str, Any]:
        """As `convlstm predict --json` prints it."""
        return {
            **vars(self),
            "scores": None if self.scores is None else self.scores.to_dict(),
            "spread": None if self.spread is None else vars(self.spread),
            "members": None if self.members is None else vars(self.members),
            "guard": None if self.guard is None else vars(self.guard),
            "values": vars(self.values),
        }


class Piece(NamedTuple):
    """Some lead times of a forecast."""

    frames: Tensor
    """(1, n, C, H, W) in [0, 1]."""
    spread: Tensor | None = None
    """Standard deviation of the members of an ensemble, like `frames`."""
    found: LeadTime | None = None
    """What members that were asked for say together, at a single lead time."""


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

    Each input is written whole into `output`/STEM, or not at all. A finished forecast in that folder is kept if it is
    whole and was made from the same input, weights, settings and versions, and replaced otherwise. Yields each input
    with its forecast, or with the error that it failed with, and goes on.

    With a `shard`, only the inputs of that share are forecast, out of all inputs sorted by path; names do not depend on
    it. Several processes may fill one `output` at once in this way; `ranks` gives each process of a machine an
    accelerator of its own.

    The shipped weights are chosen for each input, grey or colour, and work at its size (`working_size.py`).

    Unless `config.guard` is off, each forecast is checked on the input's own past and mixed with the baselines as far
    as that check asks for (`scoring/guard.py`); the spread of an ensemble is that of its networks alone. Members that
    networks draw from noise are mixed too, and dressed with past errors (`scoring/guarded_members.py`).

    Several runs are an ensemble: the forecast is their mean, and pictures of their spread are written beside it. Each
    run reads as many of the last frames as it was trained on. Unless `config.frames` is given, as many frames are
    forecast as the shortest training had. With `config.members` the runs, or one of them, forecast so many possible
    futures, each of which is written.

    Raises:
        UsageError: a device that does not exist, runs that make no ensemble, or one that works at its own size only;
            a number of members that the runs do not make.
        RunError: a run without usable weights, or one that forecasts no members.
        DependencyError: a format whose library is missing.
    """
    config, progress = config or PredictConfig(), progress or Progress()
    check_formats(config.formats)
    runs = check_runs(run, config)
    compute = device.choose(config.device, config.precision, ranks)
    sources = find_inputs(inputs, progress)
    names = output_names([source for source in sources if isinstance(source, Path)])
    sources = _share(sources, shard, progress)
    sweep(output)
    networks = NetworksByColour.load(runs, compute.device)
    if draws_members(networks.grey.models, config):
        note_uncalibrated(networks.grey.runs, networks.grey.models, progress)
    digests = networks.digests()
    for done, source in enumerate(sources):
        if isinstance(source, tuple):
            yield source
            continue
        progress.predicting(source.name, done, len(sources))
        outcome: Forecast | ConvLSTMError | None
        try:
            folder = output / names[source]
            origin = finished.origin_of(source, digests, config)
            outcome = _kept(source, folder, origin)
            if outcome is None:
                _note_replaced(folder, origin, progress)
                outcome = predict_video(source, networks, folder, config, compute, progress, origin)
            _warn_if_trained_on(outcome, runs, progress)
        except UsageError:
            raise  # about an option, so it would be the same for every input
        except ConvLSTMError as error:
            outcome = error
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            outcome = too_large(source, config)  # without the error as its cause, which would hold the memory
        progress.finished()  # before the caller shows the outcome
        yield source, outcome


def predict_video(
    source: Path,
    by_colour: NetworksByColour,
    folder: Path,
    config: PredictConfig,
    compute: Compute,
    progress: Progress,
    origin: Origin,
) -> Forecast:
    """Forecasts one input into `folder`, in memory that depends on neither its length nor the horizon.

    Nor does it depend on the number of members: these wait in a file, 4 bytes for each of their values, and at a time
    some are computed, a band of rows of all of them is compared, and one is written.

    `origin` is what `finished.origin_of` gives for this input and these networks. Raises InputError or OutputError.
    """
    with contextlib.ExitStack() as held:
        video, prepared = open_prepared(held, source, by_colour, config, compute, progress)
        clip, networks = prepared.clip, prepared.networks
        if (note := unreachable(prepared.look.values, config.exceed)) is not None:
            progress.note(f"{source}: {note}.")
        schedule = Schedule.of(clip, prepared.horizon, config, source, film=READERS[video.kind].is_film)
        writing = plan_writing(
            config.formats, video, prepared.facts, clip, prepared.look, schedule, prepared.horizon, progress
        )
        with (
            replacing_folder(folder, RECORD) as partial,
            naming_a_smaller_tile(source, networks.models, prepared.tilings, config, compute),
        ):
            mixing = mixing_of(prepared, compute) if config.guard and not config.asks_for_members else None
            guarded = guarded_members(prepared, config, compute)
            if config.asks_for_members:
                scores, spread = _write_members(partial, prepared, guarded, schedule, config, writing, compute)
            else:
                pieces = computed(prepared, mixing, compute, partial)
                scores, spread = _write_frames(partial, prepared, pieces, schedule, config, writing)
            forecast = Forecast(
                source=source,
                folder=folder,
                first_input_frame=clip.first,
                last_input_frame=clip.last,
                frames=prepared.horizon,
                fps=schedule.fps,
                scores=scores,
                last_known_frame=clip.following.last,
                step=schedule.step,
                start=schedule.start,
                valid_times=schedule.valid_times,
                native_size=prepared.look.geometry is None,
                spread=spread,
                members=members_record(networks, config, guarded),
                guard=_guard_record(mixing, guarded),
                values=prepared.look.values,
            )
            _record(forecast, networks, prepared.tilings, config, origin, partial).write(partial)
    return forecast


def mixing_of(prepared: Prepared, compute: Compute) -> GuardedPieces | None:
    """What mixes the pieces of a forecast; None where the input is too short for the guard's check."""
    inputs = guard_inputs(prepared, compute)
    guard = check_networks(prepared.networks.models, checked_inputs(inputs, prepared, compute), compute)
    if guard is None:
        return None
    return GuardedPieces(guard, inputs[:, :, : prepared.networks.channels], prepared.horizon, CHUNK)


def computed(prepared: Prepared, mixing: GuardedPieces | None, compute: Compute, folder: Path) -> Iterator[Piece]:
    """The forecast in pieces, each computed when it is asked for, and an ensemble's spread.

    `mixing` mixes the mean of the networks with the baselines. Tiles may need a file in `folder`.
    """
    models = prepared.networks.models
    streams = open_streams(
        models, prepared.frames, prepared.horizon, compute, prepared.tilings, folder, prepared.future
    )
    for piece, spread in lockstep(streams) if len(streams) > 1 else ((piece, None) for piece in streams[0]):
        yield Piece(piece if mixing is None else mixing.mix(piece), spread)


def _write_members(
    folder: Path,
    prepared: Prepared,
    guarded: GuardedMembers | None,
    schedule: Schedule,
    config: PredictConfig,
    writing: Writing,
    compute: Compute,
) -> tuple[KnownScores | None, SpreadRecord | None]:
    """Computes members, and writes their mean as the forecast, and what is asked for of them.

    Returns the scores where the truth is known, and the spread.
    """
    look, formats, fps, placement = prepared.look, writing.formats, schedule.fps, writing.placement
    statistics = Statistics(look.values, config.quantiles, config.exceed)
    with members_of(prepared, guarded, config, compute, folder) as members:
        film = None if config.members is None else _members_film(folder, members)
        pieces = _summarised(members, statistics, film)
        scores, spread = _write_frames(folder, prepared, pieces, schedule, config, writing, members)
        if film is not None:
            each = [_frames_of(members, number, look) for number in range(len(members))]
            write_members(folder, look, formats, fps, placement, each, schedule.names)
            assert spread is not None
            film.write((folder / MEMBERS).with_suffix(".webm"), look, fps, spread.full_scale)
    return scores, spread


def _members_film(folder: Path, members: MembersFile) -> "MembersFilm":
    """What makes the film of members, their mean and their spread."""
    # It draws the spread with matplotlib, as `_spread_maps` does.
    from convlstm_cli.reporting.members_film import MembersFilm

    return MembersFilm(folder, members)


def _summarised(members: MembersFile, statistics: Statistics, film: "MembersFilm | None") -> Iterator[Piece]:
    """The mean of members, lead time by lead time, with all that is asked about them; `film` collects it too."""
    for lead in range(members.horizon):
        found = statistics.at(members, lead)
        if film is not None:
            film.add(found)
        yield Piece(found.mean[None, None], found.spread[None, None], found)


def _frames_of(members: MembersFile, number: int, look: Look) -> Iterator[Frame]:
    """The frames of a member, as the source has them."""
    return (look.valued(members.frame(number, lead)) for lead in range(members.horizon))


def _guard_record(mixing: GuardedPieces | None, guarded: GuardedMembers | None) -> GuardRecord | None:
    """What the guard mixed into a forecast, or into the mean of members."""
    if guarded is not None:
        return record_of(guarded.guard)
    return None if mixing is None else mixing.record()


def _write_frames(
    folder: Path,
    prepared: Prepared,
    pieces: Iterator[Piece],
    schedule: Schedule,
    config: PredictConfig,
    writing: Writing,
    members: MembersFile | None = None,
) -> tuple[KnownScores | None, SpreadRecord | None]:
    """Computes, scores and writes the frames of a forecast.

    `pieces` are those of `computed`, of `members` where these were asked for. Returns the scores where the truth is
    known, and the spread of an ensemble.
    """
    clip, look, channels = prepared.clip, prepared.look, prepared.networks.channels
    count, shown, done = len(prepared.networks if members is None else members), prepared.frames[:, :, :channels], 0
    known = KnownFuture(_last_shown(prepared), count, look.values) if clip.followed else None
    strip = TruthStrip(shown, look.painter)
    maps = _spread_maps(folder, prepared.horizon) if count > 1 else None
    with writing_forecast(
        folder,
        look,
        writing.formats,
        schedule.fps,
        writing.placement,
        config,
        scored=clip.followed,
        names=schedule.names,
    ) as write:
        for chunk, spread, found in pieces:
            following = [mark(frame, look.missing) for frame in itertools.islice(clip.following, chunk.shape[1])]
            if following and known is not None:
                truth = fitted(following, look.geometry, channels, look.missing)
                known_frames, there = look.truth(truth)
                known.add(chunk, known_frames, spread, there)
                if members is not None:
                    for lead in range(known_frames.shape[1]):
                        counted = None if there is None else there[0, lead]
                        known.add_members(members.bands(done + lead), known_frames[0, lead], counted)
                strip.add(chunk, look.clip(truth))
                if config.writes_model_size:
                    following = list(truth)
            if maps and spread is not None:
                maps.add(spread)
            for frame, true in itertools.zip_longest(map(look.valued, chunk[0]), following):
                write(frame, true, found)
            done += chunk.shape[1]
    if clip.followed:
        strip.write(folder / SCORED.with_suffix(".png"))
    numbers = "npy" in config.formats and members is None  # of members they are written in every format
    return None if known is None else known.scores(), _write_spread(maps, look, numbers) if maps else None


def _last_shown(prepared: Prepared) -> Tensor:
    """The last input frame as it is scored, (1, 1, C, H, W); values outside the range lie outside [0, 1]."""
    look, channels = prepared.look, prepared.networks.channels
    return look.truth(fitted(prepared.clip.inputs[-1:], look.geometry, channels, look.missing))[0]


def _spread_maps(folder: Path, horizon: int) -> "SpreadMaps":
    """What collects the spread of an ensemble."""
    # matplotlib takes as long to import as most forecasts take, and one network needs none.
    from convlstm_cli.reporting.spread_maps import SpreadMaps

    return SpreadMaps(folder, horizon)


def _write_spread(maps: "SpreadMaps", look: Look, numbers: bool) -> SpreadRecord:
    """Writes the pictures of an ensemble's spread, and its `numbers` where these are wanted."""
    scale = maps.write(look.spread, keep=numbers)
    return SpreadRecord(scale, maps.colour_map, tuple(maps.by_lead_time))


def _record(
    forecast: Forecast,
    networks: Networks,
    tilings: list[Tiling] | None,
    config: PredictConfig,
    origin: Origin,
    partial: Path,
) -> ForecastRecord:
    """The record of a forecast whose other files are all in the folder `partial`."""
    folders = tuple(str(run.folder) for run in networks.runs)
    return ForecastRecord(
        source=str(forecast.source),
        first_input_frame=forecast.first_input_frame,
        last_input_frame=forecast.last_input_frame,
        frames=forecast.frames,
        fps=forecast.fps,
        step=forecast.step,
        start=forecast.start,
        valid_times=forecast.valid_times,
        last_known_frame=forecast.last_known_frame,
        scores=None if forecast.scores is None else forecast.scores.to_dict(),
        native_size=forecast.native_size,
        spread=forecast.spread,
        guard=forecast.guard,
        values=forecast.values,
        run=folders[0] if len(networks) == 1 else None,
        runs=folders if len(networks) > 1 else None,
        members=forecast.members,
        tiles=None if tilings is None else tuple(TilesRecord(each.count, each.size) for each in tilings),
        settings=config,
        made_from=origin,
        holds=Contents.of(partial),
    )


def check_runs(run: Run | Sequence[Run], config: PredictConfig) -> tuple[Run, ...]:
    """The runs of a prediction. Raises UsageError for several that make no ensemble, or that need another size.

    Those of members are checked and chosen as `runs_of_members` does.
    """
    runs = runs_of_members((run,) if isinstance(run, Run) else tuple(run), config)
    if not isinstance(run, Run):
        check_members(runs, native_size=config.native_size)
    check_works_at(runs, config)
    check_range(runs, config)
    return runs


def _share(sources: list[Path | Unusable], shard: Shard | None, progress: Progress) -> list[Path | Unusable]:
    """The inputs of a shard, out of all inputs sorted by path; all inputs where there are no shards."""
    if shard is None or shard.count == 1:
        return sources
    share = list(shard.of(sorted(sources, key=path_of)))
    task = f"takes {len(share)} of {len(sources)} inputs" if share else "has nothing to do: it has no share"
    progress.note(f"shard {shard} (by {shard.set_by}) {task}; --shard 0/1 takes all")
    return share


def too_large(source: Path, config: PredictConfig) -> InputError:
    """The error of an input for which the memory does not suffice; other inputs may be smaller."""
    instead = "leave --native-size out" if config.native_size else "choose --size model, or a --size in pixels"
    return InputError(f"{source}: takes more memory than there is; {instead}, or --device cpu.")


def _kept(source: Path, folder: Path, origin: Origin) -> Forecast | None:
    """The finished forecast of a source in a folder, if it is whole and has this origin."""
    record = finished.read_unchanged(folder, origin)
    try:
        return None if record is None else Forecast.from_record(record, source, folder)
    except ValueError:
        return None


def _note_replaced(folder: Path, origin: Origin, progress: Progress) -> None:
    """Notes that the forecast of another source is in the folder, and is replaced."""
    other = finished.source_of(folder)
    if other is not None and other.path != origin.input.path:
        progress.note(f"{folder}: replaces the forecast of {other.path}; another -o keeps both.")


def _warn_if_trained_on(forecast: Forecast, runs: Sequence[Run], progress: Progress) -> None:
    """Notes each run that was trained on the frames that the forecast is scored against."""
    if forecast.scores is None:
        return
    first = forecast.last_input_frame + 1
    for run in runs:
        if run.was_trained_on(forecast.source, first, forecast.last_known_frame):
            progress.note(
                f"{forecast.source}: {run.name} was trained on frames of it, so its scores flatter the forecast."
            )
