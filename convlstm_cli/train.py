"""Training: `train` and `resume`, and the loop that both end in."""

import contextlib
import math
import statistics
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from convlstm_cli import lock
from convlstm_cli.compute import device
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks, is_lost
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.compute.stopping import Stopped, at_once
from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import ConvLSTMError, Interrupted, LostError, MemoryShort, RunError, UsageError
from convlstm_cli.forecasting.inference import forecast_clip, to_float
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress, StepReport
from convlstm_cli.reporting import pictures, run_page
from convlstm_cli.runs.run import SAMPLES, Run
from convlstm_cli.scoring.baselines import BASELINES, Baseline
from convlstm_cli.scoring.evaluation import COPYING, Evaluation, evaluate_clips
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.training import memory as fitting
from convlstm_cli.training.augmentation import augment
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.recorded import train_config
from convlstm_cli.training.schedule import Budget, Clock
from convlstm_cli.training.step import Part, TrainStep
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.data import SUBSETS, VideoData

SKIPPED_IN_A_ROW = 5
"""Steps without a finite loss and gradient after which training goes back to its last checkpoint."""
LOWER = 0.25
"""What the learning rate is multiplied by then."""
GOES_BACK = 4
"""Times that it does so before it gives up."""


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
    ranks: Ranks = ALONE,
) -> TrainResult:
    """Trains a forecaster into a new run folder.

    Args:
        data: the videos and their split.
        model: the network, of the same frame size and channels as `data`.
        config: how to train.
        folder: the run folder to make; `run.py` says what it will hold.
        initial: weights to start from instead of drawn ones.
        progress: is told what happens; None is silence.
        should_stop: asked after every step; on True everything is saved and Interrupted raised. A `StopRequest` is
            heeded inside a step too.
        ranks: the processes that train together, connected; each calls this function, and the first writes.

    Raises:
        UsageError: a loss that does not go with the network's head, or a device that is not there.
        OutputError: `folder` is there already, cannot be written, or another process is training into it.
        MemoryShort: a batch that does not fit into memory, with one that does.
        LostError: another process has ended, after saving.
        Interrupted: after saving; `resume` goes on, bit for bit on a CPU unless `max_time` makes the learning rate
            follow the clock.
    """
    check_options(model, config)
    compute = device.choose(config.device, config.precision, ranks)
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
            return Run.create(folder, record)

        run = ranks.first(create, lambda: Run.open(folder))
        step = TrainStep(model, config, compute, initial, ranks)
        return _Training(run, data, step, State(), config, compute, ranks, progress or Progress(), should_stop).fit()


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

    `data` is `data.restore` of the run's own record. `config` replaces the recorded one, to go on for longer or
    on another device. `initial` are the weights that `train` was given, for a run that was stopped before it could
    save them. Raises RunError if the run's state is damaged, OutputError if another process is training it,
    Interrupted as `train` does.
    """
    config = config or train_config(run)
    compute = device.choose(config.device, config.precision, ranks)
    fitting.check(run.model_config, config, compute, ranks)
    with contextlib.ExitStack() as held:

        def clean() -> None:
            held.enter_context(lock.holding(run.folder))
            run.remove_partials()

        ranks.first(clean, lambda: None)
        saved = run.load_resume()  # before the network is made, since it is held to what this file holds
        step = TrainStep(run.model_config, config, compute, initial, ranks)
        if saved is None and run.read_metrics():
            raise RunError(
                f"{run.folder}: has no resume.pt, so it cannot go on; it still predicts. Start a new run with -o."
            )
        state = State() if saved is None else _restore(run, saved, step)
        run.config |= _circumstances(config, compute, ranks)  # they may be others than at the beginning
        if ranks.is_first:
            run.write_json("config.json", run.config)
        return _Training(run, data, step, state, config, compute, ranks, progress or Progress(), should_stop).fit()


def _circumstances(config: TrainConfig, compute: Compute, ranks: Ranks) -> dict[str, Any]:
    """What config.json says of how a run is trained, on what, and by which versions."""
    return {
        "training": asdict(config),
        "compute": {"device": str(compute.device), "precision": compute.precision, "processes": ranks.world},
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
    """Sum over the current epoch's batches that were learned from."""
    skipped: int = 0
    """The current epoch's batches that were not, because the loss or its gradient was not finite."""
    in_a_row: int = 0
    """How many of the last steps were skipped."""
    went_back: int = 0
    """Times that training went back to a checkpoint because of too many of them."""
    best_mse: float = math.inf
    best_epoch: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)
    """The lines of metrics.jsonl."""


class _Training:
    """A training under way. Of several processes all hold the same, and the first writes and speaks."""

    def __init__(
        self,
        run: Run,
        data: VideoData,
        step: TrainStep,
        state: State,
        config: TrainConfig,
        compute: Compute,
        ranks: Ranks,
        progress: Progress,
        should_stop: Callable[[], bool],
    ) -> None:
        self.run, self.step, self.state, self.config, self.compute = run, step, state, config, compute
        self.ranks, self.progress, self.should_stop = ranks, progress, should_stop
        self.clips, self.validation, self.test = (data.clips(subset) for subset in SUBSETS)
        self.budget = Budget(config, steps_per_epoch(self.clips, config))
        self.clock = Clock(state.seconds)
        self.last_save = self.clock.seconds
        self.step_seconds: list[float] = []
        self.copied: Scores | None = None  # the scores of persistence, the same after every epoch
        self.free = fitting.room(compute, ranks)

    def fit(self) -> TrainResult:
        """Trains to the end. Raises Interrupted, or LostError, after saving."""
        with self._saved_at_the_end(), self._memory_told():
            if not self.state.steps:
                self._save()  # a kill in the first epoch then goes on from these very initial values
            self.progress.started(self.run.folder, self.state.steps)
            while (reason := self._why_ended()) is None:
                if self._learn():
                    self._validate()
            return self._finish(reason)

    def _why_ended(self) -> str | None:
        """Asked between epochs: the reason to end, or None."""
        state = self.state
        if state.position:
            return None  # an interrupted epoch still has its validation to come
        seconds = self._seconds()
        if self.budget.spent(state.steps, seconds) and state.epoch:
            by_time = self.budget.seconds is not None and seconds >= self.budget.seconds
            return "the time is over" if by_time else "all steps are done"
        if self.config.patience and state.epoch - state.best_epoch >= self.config.patience:
            return f"no better validation in {self.config.patience} epochs"
        return None

    def _learn(self) -> bool:
        """Makes the steps that are left of the epoch; False after going back to a checkpoint, from where it begins."""
        for clips, part in batches(self.clips, self.config, self.state, self.ranks):
            seconds = self._seconds()
            if self.state.position and self.budget.spent(self.state.steps, seconds):
                break
            self._step(clips, part, seconds)
            if self.state.in_a_row == SKIPPED_IN_A_ROW:
                self._go_back(f"{SKIPPED_IN_A_ROW} steps in a row were left out")
                return False
            if self.should_stop():
                raise Stopped
            due = self.clock.seconds - self.last_save > self.config.save_every
            # Not at the end of an epoch: what its validation finds no good must not be all there is to go back to.
            if due and not self.state.in_a_row and self.state.position < self.budget.batches_per_epoch:
                self._save()
        if self.state.position == self.state.skipped:
            self._go_back("all steps of the epoch were left out")
            return False
        return True

    def _step(self, clips: Tensor, part: Part, seconds: float) -> None:
        state, config = self.state, self.config
        began = time.perf_counter()
        spent = state.steps, seconds
        clips = augment(clips, config.augment, (config.seed, state.steps), part)
        # Of several processes none leaves inside a step, since the others wait for its gradient.
        with at_once(self.should_stop) if self.ranks.world == 1 else contextlib.nullcontext():
            loss = self.step.differentiate(to_float(clips, self.compute.device), self.budget.feeding(*spent), part)
        learned = self.step.apply(loss, self.budget.rate(*spent) * LOWER**state.went_back)
        state.steps += 1
        state.position += 1
        if not learned:
            state.skipped += 1
            state.in_a_row += 1
            self.progress.note(
                f"step {state.steps}: the loss or its gradient is not finite, so the step is left out "
                f"({state.in_a_row} in a row)"
            )
            return
        state.in_a_row = 0
        state.loss_sum += loss
        self.step_seconds.append(time.perf_counter() - began)
        mean = state.loss_sum / (state.position - state.skipped)
        self.progress.stepped(
            StepReport(
                steps=state.steps,
                epoch=state.epoch + 1,
                loss=mean,
                clips_per_second=part[1] / self.step_seconds[-1],
                share=self.budget.progress(state.steps, self.clock.seconds),
                seconds_left=self.budget.seconds_left(state.steps, self.clock.seconds),
            )
        )

    def _go_back(self, why: str) -> None:
        """Back to the last checkpoint, with a lower learning rate. Raises ConvLSTMError where that was of no use."""
        folder, config, failed = self.run.folder, self.config, self.state
        saved = self.run.load_resume()
        if saved is None:
            raise RunError(f"{folder}: its resume.pt is gone, so training cannot go back to it; start a new run.")
        # After an interruption of the validation no step is left to be made otherwise.
        spent = saved["state"]["position"] >= self.budget.batches_per_epoch
        if failed.went_back == GOES_BACK or spent:
            raise ConvLSTMError(
                f"training comes to nothing at step {failed.steps} ({why}), even with {LOWER**failed.went_back:g} "
                f"times the learning rate; {folder} keeps its last checkpoint. Train again with a lower "
                f"--learning-rate than {config.learning_rate:g}, or --precision fp32."
            )
        self.ranks.wait()  # before the first process writes it anew
        self.state = _restore(self.run, saved, self.step)
        self.state.went_back, self.state.in_a_row = failed.went_back + 1, 0
        self._save()
        self.progress.note(
            f"{why}: going back from step {failed.steps} to {self.state.steps}, with "
            f"{LOWER**self.state.went_back:g} times the learning rate"
        )

    def _validate(self) -> None:
        state, network = self.state, self.step.averaged
        evaluation = self._evaluate(network, self.validation, COPYING, self.copied)
        self.copied = evaluation.persistence
        if not math.isfinite(evaluation.model.mean_mse) or not self.step.is_sound:
            self._go_back("weights or forecasts of the validation are not finite")
            return
        improved = evaluation.model.mean_mse < state.best_mse
        if improved:
            state.best_mse, state.best_epoch = evaluation.model.mean_mse, state.epoch + 1
        state.history.append(
            {
                "epoch": state.epoch + 1,
                "steps": state.steps,
                "seconds": round(self.clock.seconds, 3),
                "learning_rate": self.step.optimizer.param_groups[0]["lr"],
                "train_loss": state.loss_sum / (state.position - state.skipped),
                "skipped_steps": state.skipped,
                "validation": evaluation.to_dict(),
            }
        )
        state.epoch, state.position, state.loss_sum, state.skipped = state.epoch + 1, 0, 0.0, 0
        if self.ranks.is_first:
            # Before the checkpoint, since no resumed run comes back to it.
            _write_sample(self.run, network, self.validation, self.compute, state.epoch)
            if improved:
                self.run.save_weights(network.state_dict())
        self._save()
        if self.ranks.is_first:
            self.run.write_metrics(state.history)
        self.progress.epoch_ended(state.history[-1], improved)

    def _finish(self, reason: str) -> TrainResult:
        """Tests the best weights and writes what is to be read."""
        state, seconds = self.state, self.clock.seconds
        self.ranks.wait()  # until the first process has written the weights
        best = self.run.load_model(self.compute.device)
        test = self._evaluate(best, self.test, BASELINES)
        if not math.isfinite(test.model.mean_mse):
            raise ConvLSTMError(
                f"{self.run.folder}: the best weights give forecasts of the test videos that are not finite; train "
                f"again with a lower --learning-rate than {self.config.learning_rate:g}, or --precision fp32."
            )
        if self.ranks.is_first:
            # Again, for a run that was killed between its last checkpoint and this file.
            self.run.write_metrics(state.history)
            self.run.write_json(
                "test.json",
                {"best_epoch": state.best_epoch, "stopped": reason, "seconds": seconds, **test.to_dict()},
            )
            run_page.write_run_report(self.run)
        self.progress.finished()
        typical = statistics.median(self.step_seconds) if self.step_seconds else None
        return TrainResult(self.run, state.epoch, state.steps, seconds, typical, reason, test)

    def _evaluate(
        self,
        network: EncoderForecaster,
        clips: ClipDataset,
        baselines: Mapping[str, Baseline],
        known: Scores | None = None,
    ) -> Evaluation:
        def scored(done: int, total: int) -> None:
            self.progress.validating(done, total)
            if self.should_stop():
                raise Stopped

        with at_once(self.should_stop):
            return evaluate_clips(
                network,
                clips,
                self.compute,
                math.ceil(self.config.batch_size / self.ranks.world),
                scored,
                known,
                baselines=baselines,
                ranks=self.ranks,
            )

    def _seconds(self) -> float:
        """Time of the training, the same for all processes where anything depends on it."""
        return self.clock.seconds if self.budget.seconds is None else self.ranks.of_first(self.clock.seconds)

    def _save(self) -> None:
        self.state.seconds = self.last_save = self.clock.seconds
        if self.ranks.is_first and self.step.is_sound:  # else the last checkpoint is the better one
            self.run.save_resume({"state": asdict(self.state), "step": self.step.state_dict()})

    @contextlib.contextmanager
    def _saved_at_the_end(self) -> Iterator[None]:
        """Saves when the training is to stop, or another process is lost: between two steps, or in the first half of
        one, which leaves no trace."""
        go_on = f"go on with: convlstm train -o {self.run.folder} --resume"
        try:
            yield
        except Stopped:
            self._save()
            raise Interrupted(f"interrupted, and saved; {go_on}") from None
        except RuntimeError as error:
            if self.ranks.world == 1 or is_out_of_memory(error) or not is_lost(error):
                raise
            self._save()
            raise LostError(
                f"another process of this training has ended; what was reached is saved, {go_on}"
            ) from error

    @contextlib.contextmanager
    def _memory_told(self) -> Iterator[None]:
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            told = fitting.too_large(self.run.model_config, self.config, self.free, self.ranks)
            raise MemoryShort(told) from error


def batches(
    clips: ClipDataset, config: TrainConfig, state: State, ranks: Ranks = ALONE
) -> Iterator[tuple[Tensor, Part]]:
    """The rest of the epoch: this process's clips of each batch, (B, T, C, H, W) uint8, and which they are.

    The order depends on nothing but seed and epoch. A process that has no clip of a batch gets one that does not count.
    """
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + state.epoch)
    order = torch.cat([torch.randperm(len(clips), generator=generator) for _ in range(_passes(clips, config))])
    size = config.batch_size
    starts = range(state.position * size, len(order), size)
    # One after another: an epoch may have millions.
    whole = (order[start : start + size].tolist() for start in starts)
    own = (list(ranks.share(batch)) or batch[:1] for batch in whole)
    for start, loaded in zip(starts, DataLoader(clips, batch_sampler=own, generator=generator), strict=True):
        count = min(size, len(order) - start)
        yield loaded, (ranks.share(range(count)), count)


def steps_per_epoch(clips: ClipDataset, config: TrainConfig) -> int:
    """Optimiser steps of an epoch."""
    return math.ceil(_passes(clips, config) * len(clips) / config.batch_size)


def _passes(clips: ClipDataset, config: TrainConfig) -> int:
    """Times that an epoch passes over the clips, so that few clips do not mean validation after every few steps."""
    return math.ceil(config.epoch_steps / math.ceil(len(clips) / config.batch_size))


def _write_sample(run: Run, network: EncoderForecaster, clips: ClipDataset, compute: Compute, epoch: int) -> None:
    clip = to_float(clips[0][None], compute.device)  # (1, T, C, H, W)
    frames, truth = clip.tensor_split([network.config.input_frames], dim=1)
    forecast = forecast_clip(network, frames, truth.shape[1], compute)
    pictures.write_strip(
        run.folder / SAMPLES / f"epoch_{epoch:04d}.png",
        {"input": frames[0], "truth": truth[0], "forecast": forecast[0]},
    )


def _restore(run: Run, saved: dict[str, Any], step: TrainStep) -> State:
    try:
        step.load_state_dict(saved["step"])
        return State(**saved["state"])
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise RunError(
            f"{run.folder / 'resume.pt'}: does not fit this run ({str(error).splitlines()[0]}); start a new one."
        ) from error
