"""`forecast`: the next frames of an array, as an array of the same kind, without a file."""

import tempfile
from pathlib import Path
from typing import TypeVar

import numpy as np

from convlstm_cli.compute import device as devices
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.array_kinds import video_of
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.ensemble import MembersByColour
from convlstm_cli.forecasting.prepared import prepare
from convlstm_cli.forecasting.streams import naming_a_smaller_tile
from convlstm_cli.predict import check_runs, computed, mixing_of, too_large
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.settings import Precision
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
            (`scoring/guard.py`).
        native_size: whether the network works at the size of the frames rather than at that of its training.
        device: `auto`, or a torch device such as `cuda:1`.
        precision: number format of the network, such as `bf16`.
        progress: receives notes on what keeps the forecast from being good; None is silence.

    Returns:
        `horizon` frames of the same kind, axes, size, type and unit, on the same torch device. Pixels that no frame
        read has a value for have none: NaN, masked, or `missing`. A DataArray keeps its name, its attributes and the
        coordinates that do not depend on time, and its times go on at the step of its own.

    Raises:
        InputError: frames that are no such array, or too few of them.
        UsageError: an option that does not fit the run, or a device that is not there.
        RunError: a run without usable weights.
    """
    config = PredictConfig(
        frames=horizon,
        guard=guard,
        native_size=native_size,
        missing=missing,
        value_range=None if range is None else ",".join(map(repr, map(float, range))),
        log=log,
        device=device,
        precision=precision,
    )
    given = video_of(frames)
    run = model if isinstance(model, Run) else open_run(Path(model))
    if run.guides:
        raise UsageError(
            f"{run.name}: was trained with {run.guides[0].flag}, and arrays have no such channels; "
            "save them to a file and forecast it with convlstm predict."
        )
    compute = devices.choose(config.device, config.precision)
    members = MembersByColour.load(check_runs(run, config), compute.device)
    with given.open() as video, tempfile.TemporaryDirectory() as folder:  # for tiles that do not fit into memory
        prepared = prepare(video, members, config, compute, progress or Progress())
        look, models, kept = prepared.look, prepared.members.models, video.kept_channels
        try:
            with naming_a_smaller_tile(video.path, models, prepared.tilings, config, compute):
                mixing = mixing_of(prepared, compute) if config.guard else None
                pieces = computed(prepared, mixing, compute, Path(folder))
                written = [look.forecast(look.valued(frame)) for piece, _ in pieces for frame in piece[0]]
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            raise too_large(video.path, config) from None  # the error would hold the memory
    result: Frames = given.alike(np.stack(written), prepared.clip.step, kept)
    return result
