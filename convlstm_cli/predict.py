"""Prediction: the next frames of videos, on disk."""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from convlstm_cli.compute import device
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.errors import ConvLSTMError, UsageError
from convlstm_cli.files import replacing_folder, sweep
from convlstm_cli.forecasting import finished
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.ensemble import NetworksByColour
from convlstm_cli.forecasting.inputs import Unusable, find_inputs, output_names, path_of
from convlstm_cli.forecasting.members import draws_members, note_uncalibrated
from convlstm_cli.forecasting.placement import check_formats, plan_writing
from convlstm_cli.forecasting.prepared import open_prepared
from convlstm_cli.forecasting.record import RECORD, GuardRecord, Origin
from convlstm_cli.forecasting.shards import Shard
from convlstm_cli.forecasting.statistics import unreachable
from convlstm_cli.forecasting.streams import naming_a_smaller_tile
from convlstm_cli.forecasting.times import Schedule
from convlstm_cli.predicting.checks import check_runs, too_large
from convlstm_cli.predicting.members import guarded_members, members_record
from convlstm_cli.predicting.pieces import compute_pieces, mixing_of
from convlstm_cli.predicting.result import Forecast, record_of
from convlstm_cli.predicting.writing import write_forecast, write_forecast_of_members
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.guarded import GuardedPieces, guard_record
from convlstm_cli.scoring.guarded_members import GuardedMembers
from convlstm_cli.video.readers import READERS

__all__ = ["Forecast", "predict", "predict_video"]


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

    Args:
        inputs: video files, image folders, files of arrays, or folders of any of these.
        run: the run whose network forecasts, or several, which make an ensemble.
        output: the folder of all forecasts.
        config: the settings; None for the defaults.
        progress: receives progress and notes; None is silent.
        shard: only the inputs of this share are forecast, out of all inputs sorted by path; names do not depend on it.
            So several processes may fill one `output` at once.
        ranks: gives each process of a machine an accelerator of its own.

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
        if (note := unreachable(prepared.conversion.values, config.exceed)) is not None:
            progress.note(f"{source}: {note}.")
        schedule = Schedule.of(clip, prepared.horizon, config, source, film=READERS[video.kind].is_film)
        writing = plan_writing(config.formats, video, prepared, schedule, progress)
        with (
            replacing_folder(folder, RECORD) as partial,
            naming_a_smaller_tile(source, networks.models, prepared.tilings, config, compute),
        ):
            mixing = mixing_of(prepared, compute) if config.guard and not config.asks_for_members else None
            guarded = guarded_members(prepared, config, compute)
            if config.asks_for_members:
                scores, spread = write_forecast_of_members(partial, prepared, guarded, config, writing, compute)
            else:
                pieces = compute_pieces(prepared, mixing, compute, partial)
                scores, spread = write_forecast(partial, prepared, pieces, config, writing)
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
                native_size=prepared.conversion.geometry is None,
                spread=spread,
                members=members_record(networks, config, guarded),
                guard=_guard_record(mixing, guarded),
                values=prepared.conversion.values,
            )
            record_of(forecast, networks, prepared.tilings, config, origin, partial).write(partial)
    return forecast


def _guard_record(mixing: GuardedPieces | None, guarded: GuardedMembers | None) -> GuardRecord | None:
    """What the guard mixed into a forecast, or into the mean of members."""
    if guarded is not None:
        return guard_record(guarded.guard)
    return None if mixing is None else mixing.record()


def _share(sources: list[Path | Unusable], shard: Shard | None, progress: Progress) -> list[Path | Unusable]:
    """The inputs of a shard, out of all inputs sorted by path; all inputs where there are no shards."""
    if shard is None or shard.count == 1:
        return sources
    share = list(shard.of(sorted(sources, key=path_of)))
    task = f"takes {len(share)} of {len(sources)} inputs" if share else "has nothing to do: it has no share"
    progress.note(f"shard {shard} (by {shard.set_by}) {task}; --shard 0/1 takes all")
    return share


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
