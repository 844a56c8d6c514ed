"""Training: `train` begins a run and `resume` goes on with one."""

import contextlib
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from torch import Tensor

from convlstm_cli import lock
from convlstm_cli.compute import device
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import RunError, UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.progress import Progress
from convlstm_cli.runs import prints
from convlstm_cli.runs.run import Run
from convlstm_cli.runs.state import State
from convlstm_cli.training import memory as fitting
from convlstm_cli.training.augmentation import AUGMENTATIONS
from convlstm_cli.training.config import AUTO_INIT, FRESH, TrainConfig
from convlstm_cli.training.initial import start
from convlstm_cli.training.loop import Training, restored
from convlstm_cli.training.losses import LOSSES
from convlstm_cli.training.recorded import train_config
from convlstm_cli.training.result import TrainResult
from convlstm_cli.training.resuming import differences, settings_to_go_on
from convlstm_cli.training.session import Session
from convlstm_cli.training.step import TrainStep
from convlstm_cli.training.weighting import measure_of
from convlstm_cli.video.data import VideoData

__all__ = ["TrainResult", "check_options", "resume", "train"]


def train(
    data: VideoData,
    model: ForecasterConfig,
    config: TrainConfig,
    folder: Path,
    *,
    initial: dict[str, Tensor] | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> TrainResult:
    """Trains a forecaster into a new run folder.

    Args:
        data: the videos and their split.
        model: the network, of the same frame size and channels as `data`; `training.network.for_videos` makes it so,
            and gives it a mask where frames have missing pixels.
        config: how to train.
        folder: the run folder to make; `runs/run.py` says what it will hold.
        initial: weights to start from, in place of those that `config.init` names.
        progress: receives reports; None is silence.
        should_stop: asked after every step; on True everything is saved and Interrupted raised. A `StopRequest` is
            heeded inside a step too.
        ranks: the processes that train together, connected; each calls this function, and only rank 0 writes files.

    Raises:
        UsageError: options that do not go together, such as a loss and the network's head, a device that is not there,
            or weights to start from that do not fit.
        OutputError: `folder` is there already, cannot be written, or another process is training into it.
        InsufficientMemoryError: a batch that does not fit into memory; the message names one that does.
        LostProcessError: another process has ended, after saving.
        Interrupted: after saving; `resume` goes on, bit for bit on a CPU unless `max_time` makes the learning rate
            follow the clock.
    """
    check_options(model, config)
    measure_of(config, data.values)  # before anything is written
    progress = progress or Progress()
    if initial is None:
        begun = start(config.init, model)
        if config.init != FRESH:
            progress.note(begun.text)
        initial, config = begun.weights, replace(config, init=begun.init)
    elif config.init == AUTO_INIT:
        config = replace(config, init=FRESH)
    compute = device.choose(config.device, config.precision, ranks, learning=True)
    if compute.precision == "bf16" and config.precision == "auto":
        progress.note(
            "optimiser steps in bf16, which this processor multiplies in hardware; --precision fp32 avoids it"
        )
    config = ranks.of_first(fitting.with_batch_size(config, [model], len(data.clips("train")), compute, ranks))
    fitting.check(model, config, compute, ranks)
    record = {
        "model": asdict(model),
        "data": data.to_dict(),
        **_circumstances(config, compute, ranks),
    }
    with contextlib.ExitStack() as held:

        def create() -> Run:
            held.enter_context(lock.holding(folder))
            run = Run.create(folder, record)
            prints.write(run.folder, data.learned_prints())
            return run

        run = ranks.first(create, lambda: Run.open(folder))
        step = TrainStep(model, config, compute, initial, ranks, data.values, progress.note)
        scoring = device.choose(config.device, config.precision, ranks)
        session = Session(run, data, config, scoring, ranks, progress, should_stop)
        return Training(session, step, State()).fit()


def resume(
    run: Run,
    data: VideoData,
    *,
    config: TrainConfig | None = None,
    initial: dict[str, Tensor] | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
    ranks: Ranks = ALONE,
) -> TrainResult:
    """Goes on with an interrupted run as if nothing had happened.

    Args:
        run: the run.
        data: `data.restore` of the run's own record.
        config: settings in place of the recorded ones, to go on for longer or on another device.
        initial: the weights that `train` was given, for a run that was stopped before it could save them.
        progress: as for `train`, and so are `should_stop` and `ranks`.

    Raises:
        UsageError: settings that differ from the recorded ones and would make another run of it.
        RunError: the run's state is damaged.
        OutputError: another process is training the run, or it cannot be written.
        InsufficientMemoryError, LostProcessError, Interrupted: as `train` does.
    """
    progress = progress or Progress()
    recorded = train_config(run)
    config = settings_to_go_on(run, training=differences(recorded, config or recorded), data=asdict(data.config))
    compute = device.choose(config.device, config.precision, ranks, learning=True)
    fitting.check(run.model_config, config, compute, ranks)
    with contextlib.ExitStack() as held:

        def clean() -> None:
            held.enter_context(lock.holding(run.folder))
            run.remove_partials()

        ranks.first(clean, lambda: None)
        saved = run.load_resume()  # before the network is made, since it is held to what this file holds
        if saved is None and initial is None:
            initial = start(config.init, run.model_config).weights
        step = TrainStep(run.model_config, config, compute, initial, ranks, data.values, progress.note)
        if saved is None and run.epochs():
            raise RunError(
                f"{run.folder}: has no resume.pt, so it cannot go on; it still predicts. Start a new run with -o."
            )
        state = State() if saved is None else restored(run, saved, step)
        run.config |= _circumstances(config, compute, ranks)  # they may be others than at the beginning
        if ranks.is_first:
            run.write_json("config.json", run.config)
            prints.write(run.folder, data.learned_prints())  # a kill at the beginning may have left none
        scoring = device.choose(config.device, config.precision, ranks)
        session = Session(run, data, config, scoring, ranks, progress, should_stop)
        return Training(session, step, state).fit()


def _circumstances(config: TrainConfig, compute: Compute, ranks: Ranks) -> dict[str, Any]:
    """The part of config.json about the training's settings, its device and processes, and the versions."""
    return {
        "training": asdict(config),
        "compute": {"device": str(compute.device), "precision": compute.precision, "processes": ranks.world},
        "versions": versions(),
    }


def check_options(model: ForecasterConfig, config: TrainConfig) -> None:
    """Raises UsageError for options that are right by themselves but do not go together."""
    if LOSSES[config.loss].in_range and model.head == "residual":
        raise UsageError(
            f"--head residual gives frames that may lie outside [0, 1], where --loss {config.loss} does not exist; "
            "choose another of the two, such as --loss mse."
        )
    if config.scheduled_sampling and model.forecaster != "autoregressive":
        raise UsageError(
            f"--scheduled-sampling needs a forecaster that is fed frames and --forecaster is {model.forecaster}; "
            "add --forecaster autoregressive, or leave it out."
        )
    for name in config.augment:
        needs = AUGMENTATIONS[name].needs
        if needs is not None and not needs.holds(model.height, model.width):
            raise UsageError(f"--augment {name} needs {needs.doc} and --size is {model.height}x{model.width}.")
