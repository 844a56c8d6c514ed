"""Training: `train` and `resume`, and the loop that both end in."""

import math
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel
from torch.utils.data import DataLoader

from convlstm_cli import device, pictures, report
from convlstm_cli.augment import augment
from convlstm_cli.baselines import BASELINES
from convlstm_cli.data import VideoData
from convlstm_cli.device import Compute
from convlstm_cli.errors import ConvLSTMError, Interrupted, RunError, UsageError
from convlstm_cli.evaluate import Evaluation, evaluate_clips, forecast_clip, to_float
from convlstm_cli.metrics import Scores
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.run import Run
from convlstm_cli.schedule import Budget, Clock
from convlstm_cli.settings import Loss, TrainConfig
from convlstm_cli.versions import versions
from convlstm_cli.video.clips import ClipDataset

ROUNDING = 1e-6
"""Least distance of a forecast from 0 and 1 in the cross-entropy."""


@dataclass(frozen=True)
class TrainResult:
    """What training gave."""

    run: Run
    epochs: int
    steps: int
    seconds: float
    """Wall-clock time of training and validation, over all resumed parts."""
    step_seconds: float | None
    """Median time of one optimiser step; None if this part made none."""
    stopped: str
    """Why it ended."""
    test: Evaluation
    """The best weights on the test videos."""


def train(
    data: VideoData,
    model: ForecasterConfig,
    config: TrainConfig,
    folder: Path,
    *,
    initial: dict[str, Tensor] | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Trains a forecaster into a new run folder.

    Args:
        data: the videos and their split.
        model: the network, of the same frame size and channels as `data`.
        config: how to train.
        folder: the run folder to make; `run.py` says what it will hold.
        initial: weights to start from instead of drawn ones.
        progress: is told what happens; None is silence.
        should_stop: asked after every step; on True everything is saved and Interrupted raised.

    Raises:
        UsageError: a loss that does not go with the network's head, or a device that is not there.
        OutputError: `folder` is there already, or cannot be written.
        Interrupted: after saving; `resume` goes on, bit for bit on a CPU unless `max_time` makes the learning rate
            follow the clock.
    """
    check_options(model, config)
    compute = device.choose(config.device, config.precision)
    record = {
        "model": asdict(model),
        "data": data.to_dict(),
        **_circumstances(config, compute),
    }
    run = Run.create(folder, record)
    step = TrainStep(model, config, compute, initial)
    return _fit(run, data, step, State(), config, compute, progress or Progress(), should_stop)


def resume(
    run: Run,
    data: VideoData,
    *,
    config: TrainConfig | None = None,
    initial: dict[str, Tensor] | None = None,
    progress: Progress | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> TrainResult:
    """Goes on with an interrupted run as if nothing had happened.

    `data` is `data.restore` of the run's own record. `config` replaces the recorded one, to go on for longer or
    on another device. `initial` are the weights that `train` was given, for a run that was stopped before it could
    save them. Raises RunError if the run's state is damaged, Interrupted as `train` does.
    """
    config = config or run.train_config
    run.remove_partials()
    compute = device.choose(config.device, config.precision)
    step = TrainStep(run.model_config, config, compute, initial)
    saved = run.load_resume()
    if saved is None and run.read_metrics():
        raise RunError(
            f"{run.folder}: has no resume.pt, so it cannot go on; it still predicts. Start a new run with -o."
        )
    state = State() if saved is None else _restore(run, saved, step)
    run.config |= _circumstances(config, compute)  # they may be others than at the beginning
    run.write_json("config.json", run.config)
    return _fit(run, data, step, state, config, compute, progress or Progress(), should_stop)


def _circumstances(config: TrainConfig, compute: Compute) -> dict[str, Any]:
    """What config.json says of how a run is trained, on what, and by which versions."""
    return {
        "training": asdict(config),
        "compute": {"device": str(compute.device), "precision": compute.precision},
        "versions": versions(),
    }


def check_options(model: ForecasterConfig, config: TrainConfig) -> None:
    """Raises UsageError for options that are right by themselves but do not go together."""
    if config.loss == "bce" and model.head == "residual":
        raise UsageError(
            "--head residual gives frames that may lie outside [0, 1], where --loss bce does not exist; "
            "choose another of the two, such as --loss mse."
        )
    if config.scheduled_sampling and model.forecaster != "autoregressive":
        raise UsageError(
            f"--scheduled-sampling needs a forecaster that is fed frames and --forecaster is {model.forecaster}; "
            "add --forecaster autoregressive, or leave it out."
        )
    if "rot90" in config.augment and model.height != model.width:
        raise UsageError(f"--augment rot90 needs square frames and --size is {model.height}x{model.width}.")


def initial_network(model: ForecasterConfig, seed: int) -> EncoderForecaster:
    """The network as training with this seed begins it."""
    torch.manual_seed(seed)
    return EncoderForecaster(model)


@dataclass
class State:
    """Where training is; with what `TrainStep` holds, all of resume.pt."""

    epoch: int = 0
    """Epochs that have ended."""
    position: int = 0
    """Batches done of the current epoch."""
    steps: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    """Sum over the current epoch's batches."""
    best_mse: float = math.inf
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    """The lines of metrics.jsonl."""


def _fit(
    run: Run,
    data: VideoData,
    step: "TrainStep",
    state: State,
    config: TrainConfig,
    compute: Compute,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> TrainResult:
    network = step.averaged
    train_clips, validation_clips = data.clips("train"), data.clips("validation")
    budget = Budget(config, steps_per_epoch(train_clips, config))
    clock = Clock(state.seconds)
    last_save = clock.seconds
    step_seconds: list[float] = []
    copied: Scores | None = None  # the scores of persistence, the same after every epoch

    def save() -> None:
        nonlocal last_save
        state.seconds = last_save = clock.seconds
        run.save_resume({"state": asdict(state), "step": step.state_dict()})

    def stop_if_asked() -> None:
        if should_stop():
            save()
            raise Interrupted(f"interrupted, and saved; go on with: convlstm train -o {run.folder} --resume")

    def validated(done: int, total: int) -> None:
        progress.validating(done, total)
        stop_if_asked()

    if not state.steps:
        save()  # a kill in the first epoch then goes on from these very initial values
    progress.started(run.folder, budget, state.steps)
    while (reason := _why_ended(state, budget, config, clock)) is None:
        for batch in _batches(train_clips, config, state):
            if state.position and budget.spent(state.steps, clock.seconds):
                break
            began = time.perf_counter()
            batch = augment(batch, config.augment, seed=(config.seed, state.steps))
            spent = state.steps, clock.seconds
            loss = step(to_float(batch, compute.device), budget.rate(*spent), budget.feeding(*spent))
            if not math.isfinite(loss):
                raise ConvLSTMError(
                    f"the loss or its gradient is not finite at step {state.steps + 1}; {run.folder} keeps its last "
                    "checkpoint. Train again with a lower --learning-rate or --precision fp32."
                )
            state.steps += 1
            state.position += 1
            state.loss_sum += loss
            step_seconds.append(time.perf_counter() - began)
            progress.stepped(state.steps, state.loss_sum / state.position, len(batch) / step_seconds[-1], clock.seconds)
            stop_if_asked()
            if clock.seconds - last_save > config.save_every:
                save()

        evaluation = evaluate_clips(network, validation_clips, compute, config.batch_size, validated, copied)
        copied = evaluation.persistence
        improved = evaluation.model.mean_mse < state.best_mse
        if improved:
            state.best_mse, state.best_epoch = evaluation.model.mean_mse, state.epoch + 1
            run.save_weights(network.state_dict())
        state.history.append(
            {
                "epoch": state.epoch + 1,
                "steps": state.steps,
                "seconds": round(clock.seconds, 3),
                "learning_rate": step.optimizer.param_groups[0]["lr"],
                "train_loss": state.loss_sum / state.position,
                "validation": evaluation.to_dict(),
            }
        )
        state.epoch, state.position, state.loss_sum = state.epoch + 1, 0, 0.0
        save()
        run.write_metrics(state.history)
        _write_sample(run, network, validation_clips, compute, state.epoch)
        progress.epoch_ended(state.history[-1], improved)
    seconds = clock.seconds

    best = run.load_model(compute.device)
    test = evaluate_clips(best, data.clips("test"), compute, config.batch_size, validated, baselines=BASELINES)
    run.write_metrics(state.history)  # again, for a run that was killed between its last checkpoint and this file
    run.write_json(
        "test.json",
        {"best_epoch": state.best_epoch, "stopped": reason, "seconds": seconds, **test.to_dict()},
    )
    report.write_run_report(run)
    progress.finished()
    typical = statistics.median(step_seconds) if step_seconds else None
    return TrainResult(run, state.epoch, state.steps, seconds, typical, reason, test)


def _why_ended(state: State, budget: Budget, config: TrainConfig, clock: Clock) -> str | None:
    """Asked between epochs: the reason to end, or None."""
    if state.position:
        return None  # an interrupted epoch still has its validation to come
    if budget.spent(state.steps, clock.seconds) and state.epoch:
        by_time = budget.seconds is not None and clock.seconds >= budget.seconds
        return "the time is over" if by_time else "all steps are done"
    if config.patience and state.epoch - state.best_epoch >= config.patience:
        return f"no better validation in {config.patience} epochs"
    return None


def _batches(clips: ClipDataset, config: TrainConfig, state: State) -> Iterator[Tensor]:
    """The rest of the epoch, each (B, T, C, H, W) uint8; the order depends on nothing but seed and epoch."""
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.epoch)
    order = torch.cat([torch.randperm(len(clips), generator=generator) for _ in range(_passes(clips, config))])
    size = config.batch_size
    # One after another: an epoch may have millions.
    batches = (order[start : start + size].tolist() for start in range(state.position * size, len(order), size))
    yield from DataLoader(clips, batch_sampler=batches, generator=generator)


def steps_per_epoch(clips: ClipDataset, config: TrainConfig) -> int:
    """Optimiser steps of an epoch."""
    return math.ceil(_passes(clips, config) * len(clips) / config.batch_size)


def _passes(clips: ClipDataset, config: TrainConfig) -> int:
    """Times that an epoch passes over the clips, so that few clips do not mean validation after every few steps."""
    return math.ceil(config.epoch_steps / math.ceil(len(clips) / config.batch_size))


class TrainStep:
    """A network and its optimiser: called with a batch, it makes one optimiser step."""

    def __init__(
        self,
        model: ForecasterConfig,
        config: TrainConfig,
        compute: Compute,
        initial: dict[str, Tensor] | None,
    ) -> None:
        self.network = initial_network(model, config.seed)
        if initial is not None:
            self.network.load_state_dict(initial)
        self.network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.checkpoint_every(config.checkpoint_every)
        self._average = AveragedModel(self.network, multi_avg_fn=_moving_average(config.average))
        parameters = list(self.network.parameters())
        kernels = [p for p in parameters if p.ndim == 4]
        others = [p for p in parameters if p.ndim != 4]  # decay would pull on what biases and peepholes mean
        groups = [
            {"params": kernels, "weight_decay": config.weight_decay},
            {"params": others, "weight_decay": 0.0},
        ]
        self.optimizer: torch.optim.Optimizer
        if config.optimizer == "rmsprop":
            self.optimizer = torch.optim.RMSprop(groups, lr=config.learning_rate, alpha=0.9)  # decay of Shi et al. 2015
        else:
            self.optimizer = torch.optim.AdamW(groups, lr=config.learning_rate)
        # float16 has no room for small gradients: they are scaled up before the backward, and down again after it.
        self._scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.dtype == torch.float16)
        self._config = config
        self._compute = compute
        self._steps = 0

    @property
    def averaged(self) -> EncoderForecaster:
        """The network with the moving average of the weights: what is validated, saved and used."""
        network = self._average.module
        assert isinstance(network, EncoderForecaster)
        return network

    def __call__(self, clip: Tensor, rate: float = 1.0, feeding: float = 0.0) -> float:
        """Learns from clips (B, T, C, H, W) in [0, 1]; gives their loss.

        `rate` is a share of the learning rate, `feeding` the probability that the forecaster is fed true frames.
        Gives NaN, and learns nothing, where a gradient is not finite, and in fp16 is not at any scale.
        """
        for group in self.optimizer.param_groups:
            group["lr"] = self._config.learning_rate * rate
        frames, truth = clip.tensor_split([self.network.config.input_frames], dim=1)
        self.network.train()
        with self._compute.autocast():
            forecast = self.network(frames, truth.shape[1], truth=truth, fed=self._draw_fed(truth, feeding))
        loss = loss_between(self._config.loss, forecast.float(), truth)
        self._steps += 1
        self.optimizer.zero_grad()
        self._scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self._scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._config.clip_norm or math.inf)
        if not math.isfinite(norm) and not self._scaler.is_enabled():
            return math.nan  # before it gets into the weights
        self._scaler.step(self.optimizer)  # makes no step where the scale was too high, and `update` lowers it
        self._scaler.update()
        if math.isfinite(norm):
            self._average.update_parameters(self.network)
        elif self._scaler.get_scale() < 1.0:
            return math.nan
        return loss.item()

    def state_dict(self) -> dict[str, Any]:
        """All that a step depends on, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Takes what `state_dict` gave."""
        self.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        self.optimizer.load_state_dict(state["optimizer"])
        if state["scaler"]:  # empty unless it was fp16
            self._scaler.load_state_dict(state["scaler"])
        self._steps = state["steps"]

    def _draw_fed(self, truth: Tensor, feeding: float) -> Tensor | None:
        """Where true frames are fed, (B, horizon) bool; the seed and the number of the step decide."""
        if not feeding:
            return None
        generator = torch.Generator().manual_seed(self._config.seed * 1_000_003 + self._steps)
        return (torch.rand(truth.shape[:2], generator=generator) < feeding).to(truth.device)


def _moving_average(decay: float) -> Callable[[Any, Any, Any], None]:
    """For `AveragedModel`: an exponential moving average that forgets the initial values sooner than later ones."""

    def update(averaged: list[Tensor], current: list[Tensor], updates: Tensor) -> None:
        count = int(updates)
        torch._foreach_lerp_(averaged, current, 1.0 - min(decay, count / (count + 9)))

    return update


def loss_between(kind: Loss, forecast: Tensor, truth: Tensor) -> Tensor:
    """A loss of two tensors of one shape, averaged over everything; `bce` is for a forecast in [0, 1]."""
    if kind == "mse":
        return F.mse_loss(forecast, truth)
    if kind == "mae":
        return F.l1_loss(forecast, truth)
    if kind == "huber":
        return F.smooth_l1_loss(forecast, truth, beta=0.1)  # quadratic below a tenth of the value range
    if kind == "bce":
        # By hand, since torch's raises on a rounding beyond 1, and on NaN, which is to be told with its remedy.
        known = forecast.clamp(ROUNDING, 1.0 - ROUNDING)
        return -(truth * known.log() + (1.0 - truth) * (1.0 - known).log()).mean()
    return F.l1_loss(forecast, truth) + F.mse_loss(forecast, truth)


def _write_sample(run: Run, network: EncoderForecaster, clips: ClipDataset, compute: Compute, epoch: int) -> None:
    clip = to_float(clips[0][None], compute.device)  # (1, T, C, H, W)
    frames, truth = clip.tensor_split([network.config.input_frames], dim=1)
    forecast = forecast_clip(network, frames, truth.shape[1], compute)
    pictures.write_strip(
        run.folder / "samples" / f"epoch_{epoch:04d}.png",
        {"input": frames[0], "truth": truth[0], "forecast": forecast[0]},
    )


def _restore(run: Run, saved: dict[str, Any], step: TrainStep) -> State:
    try:
        step.load_state_dict(saved["step"])
        return State(**saved["state"])
    except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise RunError(
            f"{run.folder / 'resume.pt'}: does not fit this run ({str(error).splitlines()[0]}); start a new one."
        ) from error
