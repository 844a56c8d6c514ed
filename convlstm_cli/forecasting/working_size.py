"""The size that a network works at for a source: its own, that of the source, or what `--size` asks for."""

from collections.abc import Sequence
from dataclasses import replace

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.nn.kinds import PEEPHOLES
from convlstm_cli.runs.run import Run
from convlstm_cli.settings import MIN_SIDE
from convlstm_cli.video.geometry import FrameGeometry

LONGEST = 768
"""Longest side in pixels at which weights of no size of their own work; larger sources are shrunk to it.

Against the true frames at the source's size, the shipped weights have 0.46, 0.43, 0.45 and 0.44 of copying's MSE at
longest sides of 256, 384, 512 and 768 on a road at 768x432, and 0.70, 0.70, 0.71 and 0.72 at 256, 384, 512 and 640 on
sign language at 640x480. 1 - SSIM falls from 0.024 to 0.020 and from 0.132 to 0.119: the source's own size shows most.
The limit is for the time: 10 frames at it take seconds."""


def working_geometry(
    run: Run, config: PredictConfig, height: int, width: int, longest: int = LONGEST
) -> FrameGeometry | None:
    """How frames of a source of `height` x `width` pixels are brought to the network; None leaves them as they are.

    In this order: as `config` asks for, at the size of the run's training, or, for weights without a size of their own,
    at the source's size with sides of at most `longest` and at least `MIN_SIDE` pixels.
    """
    if config.native_size:
        return None
    if config.working_size is not None:
        return FrameGeometry(*config.working_size, run.geometry.fit)
    if run.has_own_size:
        return run.geometry
    scale = min(1.0, longest / max(height, width))
    if scale == 1.0 and min(height, width) >= MIN_SIDE:
        return None
    patch = run.model_config.patch_size
    sides = [max(MIN_SIDE // patch, round(side * scale / patch)) * patch for side in (height, width)]
    return FrameGeometry(sides[0], sides[1], "stretch")  # the aspect changes by less than a patch


def check_works_at(runs: Sequence[Run], config: PredictConfig) -> None:
    """Raises UsageError for a run whose network cannot work at the size that `config` asks for."""
    asked = "--native-size" if config.native_size else "--size" if config.working_size is not None else None
    if asked is None:
        return
    for run in runs:
        model = run.model_config
        if model.fixes_size:
            fixing = "--peephole full" if PEEPHOLES[model.peephole].fixes_size else "--layer-norm"
            raise UsageError(
                f"{asked}: {run.folder} has {fixing}, weights for each position of frames of "
                f"{model.height}x{model.width}, and works at no other size; leave {asked} out, or use a run without "
                f"{fixing}."
            )
        if config.working_size is not None:
            replace(model, height=config.working_size[0], width=config.working_size[1])  # refuses broken patches
