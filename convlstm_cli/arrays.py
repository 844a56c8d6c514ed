"""`forecast`: the next frames of an array, as an array of the same kind, without a file."""

import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
from torch import Tensor

from convlstm_cli.compute import device as devices
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.array_kinds import video_of
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.ensemble import NetworksByColour
from convlstm_cli.forecasting.members import draws_members, note_uncalibrated
from convlstm_cli.forecasting.prepared import Prepared, prepare
from convlstm_cli.forecasting.streams import naming_a_smaller_tile
from convlstm_cli.predicting.checks import check_runs, too_large
from convlstm_cli.predicting.members import guarded_members, members_of
from convlstm_cli.predicting.pieces import compute_pieces, mixing_of
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.settings import Precision, typed
from convlstm_cli.video.colour import Frame
from convlstm_cli.weights import NAME
from convlstm_cli.weights.pretrained import open_run

Frames = TypeVar("Frames")


def forecast(
    frames: Frames,
    model: str | Path | Run = NAME,
    horizon: int | None = None,
    *,
    range: tuple[float, float] | None = None,  # noqa: A002 - as --range
    log: bool = False,
    missing: float | None = None,
    guard: bool = True,
    members: int | None = None,
    seed: int = 0,
    native_size: bool = False,
    device: str = "auto",
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> Frames:
    """The frames that follow an array of frames: what `convlstm predict` writes of it as `.npy`, and no file.

    Args:
        frames: at least 2 frames, oldest first, of which the last ones are read, as many as the run was trained on.
            One of: a numpy array, masked or not, (T, H, W) or (T, H, W, C); a torch tensor (T, H, W) or (T, C, H, W);
            an xarray.DataArray whose dimensions are named as in files (such as time, y, x, and channel or band). Bool,
            integers or floats in any unit, but 8-bit pictures are 0 to 255. NaN, infinity, masked pixels and what
            `_FillValue` of a DataArray or `missing` names have no value.
        model: a run folder, `pretrained` for the shipped weights, or an open `Run`.
        horizon: frames to forecast; as many as the run was trained to forecast if not given.
        range: the values that become the least and the largest for the network, for weights that were trained on 8-bit
            pictures or made-up motion. If not given, 0 to 255 for uint8, else what `valid_range` of a DataArray
            declares, else all values of the frames that are read but for a few that lie far apart.
        log: whether values are mapped by their logarithm, for the same weights.
        missing: the value of integers that stands for no data.
        guard: whether to check the forecast on the frames given and to mix it with simple forecasts
            (`scoring/guard.py`), and to dress members with their past errors (`scoring/guarded_members.py`).
        members: possible futures to forecast, at least 2, with a network that reads noise, as the shipped weights have
            one. None is one forecast.
        seed: of the members; the same one gives the same members.
        native_size: whether the network works at the size of the frames rather than at that of its training.
        device: `auto`, or a torch device such as `cuda:1`.
        precision: number format of the network, such as `bf16`.
        progress: receives notes on what keeps the forecast from being good; None is silence.

    Returns:
        `horizon` frames of the same kind, axes, size, type and unit, on the same torch device. Pixels that no frame
        read has a value for have none: NaN, masked, or `missing`. A DataArray keeps its name, its attributes and the
        coordinates that do not depend on time, and its times go on at the step of its own. With members they are along
        a first axis more, `member` of a DataArray, counted from 1.

    Raises:
        InputError: frames that are no such array, or too few of them.
        UsageError: an option that does not fit the run, or a device that is not there.
        RunError: a run without usable weights, or one that forecasts no members.
    """
    low_high = None if range is None else typed("range", range, tuple[float, ...])
    if low_high is not None and len(low_high) != 2:
        raise UsageError(f"range is {range!r}; give two numbers, the least and the largest value.")
    config = PredictConfig(
        frames=typed("horizon", horizon, int | None),
        guard=guard,
        members=members,
        seed=seed,
        native_size=native_size,
        missing=missing,
        value_range=None if low_high is None else ",".join(map(repr, map(float, low_high))),
        log=log,
        device=str(device),
        precision=precision,
    )
    given = video_of(frames)
    run = model if isinstance(model, Run) else open_run(Path(typed("model", model, str)))
    if run.guides:
        raise UsageError(
            f"{run.name}: was trained with {run.guides[0].flag}, and arrays have no such channels; "
            "save them to a file and forecast it with convlstm predict."
        )
    compute, progress = devices.choose(config.device, config.precision), progress or Progress()
    networks = NetworksByColour.load(check_runs(run, config), compute.device)
    if draws_members(networks.grey.models, config):
        note_uncalibrated(networks.grey.runs, networks.grey.models, progress)
    with given.open() as video, tempfile.TemporaryDirectory() as folder:  # for tiles that do not fit into memory
        prepared = prepare(video, networks, config, compute, progress)
        models, kept = prepared.networks.models, video.kept_channels
        try:
            with naming_a_smaller_tile(video.path, models, prepared.tilings, config, compute):
                written = _computed(prepared, config, compute, Path(folder))
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise too_large(video.path, config) from None  # the error would hold the memory
    each = [given.alike(forecast, prepared.clip.step, kept) for forecast in written]
    result: Frames = each[0] if members is None else given.together(each)
    return result


def _computed(prepared: Prepared, config: PredictConfig, compute: Compute, folder: Path) -> list[Frame]:
    """The forecast (T, H, W, C) as it is written, or with members each of these."""
    conversion = prepared.conversion

    def written(frames: Iterable[Tensor]) -> Frame:
        return np.stack([conversion.to_written(conversion.to_values(frame)) for frame in frames])

    if config.asks_for_members:
        guarded = guarded_members(prepared, config, compute)
        with members_of(prepared, guarded, config, compute, folder) as members:
            return [
                written(members.frame(number, lead) for lead in range(members.horizon))
                for number in range(len(members))
            ]
    mixing = mixing_of(prepared, compute) if config.guard else None
    pieces = compute_pieces(prepared, mixing, compute, folder)
    return [written(frame for piece in pieces for frame in piece.frames[0])]
