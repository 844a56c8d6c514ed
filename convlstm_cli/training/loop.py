"""The training loop: epochs of optimiser steps, each followed by a validation and a checkpoint."""

import contextlib
import math
import time
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from torch import Tensor

from convlstm_cli.compute.distributed import is_lost
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.compute.stopping import Stopped, at_once
from convlstm_cli.compute.transfer import send
from convlstm_cli.errors import ConvLSTMError, Interrupted, LostProcessError, RunError
from convlstm_cli.paths import quoted
from convlstm_cli.progress import StepReport
from convlstm_cli.runs.checkpoint import Checkpoint
from convlstm_cli.runs.records import EpochRecord, EvaluationRecord
from convlstm_cli.runs.run import Run
from convlstm_cli.runs.state import State
from convlstm_cli.scoring.evaluation import COPYING, Evaluation
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.training.augmentation import augment
from convlstm_cli.training.batches import batches, steps_per_epoch
from convlstm_cli.training.budget import Budget, Clock
from convlstm_cli.training.config import FRESH
from convlstm_cli.training.draws import Part
from convlstm_cli.training.result import TrainResult, finish, write_sample
from convlstm_cli.training.session import Session
from convlstm_cli.training.step import Pending, TrainStep
from convlstm_cli.video.tensors import to_float, valid

SKIPPED_IN_A_ROW = 5
"""Steps without a finite loss and gradient after which training goes back to its last checkpoint."""
LOWER = 0.25
"""Factor on the learning rate after each return to a checkpoint."""
GOES_BACK = 4
"""Returns to a checkpoint after which training gives up."""
AHEAD = 4
"""Steps that a GPU is given before the outcome of the first is waited for: enough to keep it busy while batches are
loaded; more would only make Ctrl-C, the clock and what is done about skipped steps late."""


class UnderWay(NamedTuple):
    """A step whose outcome is not known yet."""

    outcome: Pending
    clips: int
    """Number of clips in the whole batch."""
    began: float
    """By `time.perf_counter`."""


class Training:
    """A training under way. All processes hold the same state; only rank 0 writes files and prints.

    `state` counts the steps whose outcome is known; those under way follow it.
    """

    def __init__(self, session: Session, step: TrainStep, state: State) -> None:
        self.session, self.step, self.state = session, step, state
        self.clips, self.validation = (session.data.clips(subset) for subset in ("train", "validation"))
        self.budget = Budget(session.config, steps_per_epoch(self.clips, session.config))
        self.clock = Clock(state.seconds)
        self.last_save = self.clock.seconds
        self.step_seconds: list[float] = []
        self._under_way: deque[UnderWay] = deque()
        self._settled = 0.0
        """When the last outcome was known, by `time.perf_counter`."""
        self.copied: Scores | None = None  # the scores of persistence, the same after every epoch

    def fit(self) -> TrainResult:
        """Trains to the end. Raises Interrupted, or LostProcessError, after saving."""
        with self._saved_at_the_end(), self.session.memory_explained():
            if not self.state.steps:
                if self.session.config.init != FRESH:
                    self._score_start()
                self._save()  # a kill in the first epoch then goes on from these very initial values
            self.session.progress.started(self.session.run.folder, self.state.steps)
            while (reason := self._why_ended()) is None:
                if self._learn():
                    self._validate()
            return finish(self.session, self.state, self.clock.seconds, self.step_seconds, reason)

    def _score_start(self) -> None:
        """Validates weights that were trained before, which stay the best ones where no epoch improves on them."""
        session, network = self.session, self.step.averaged
        evaluation = session.evaluate(network, self.validation, COPYING)
        self.copied = evaluation.persistence
        if math.isfinite(evaluation.model.mean_mse):
            self.state.best_mse = evaluation.model.mean_mse
            if session.ranks.is_first:
                session.run.save_weights(network.state_dict())

    def _why_ended(self) -> str | None:
        """The reason to end, asked between epochs; None to go on."""
        state = self.state
        if state.position:
            return None  # an interrupted epoch still has its validation to come
        seconds = self._seconds()
        if self.budget.spent(state.steps, seconds) and state.epoch:
            by_time = self.budget.seconds is not None and seconds >= self.budget.seconds
            return "the time is over" if by_time else "all steps are done"
        patience = self.session.config.patience
        if patience and state.epoch - state.best_epoch >= patience:
            return f"no better validation in {patience} epochs"
        return None

    def _learn(self) -> bool:
        """Makes the steps that are left of the epoch.

        Returns whether the epoch is complete: False after going back to a checkpoint, from which the loop goes on.
        """
        session = self.session
        rest = batches(self.clips, session.config, self.state.epoch, self.state.position, session.ranks)
        for clips, part in rest:
            seconds = self._seconds()
            made = self.state.steps + len(self._under_way)
            if (self.state.position or self._under_way) and self.budget.spent(made, seconds):
                break
            self._step(clips, part, seconds)
            if self.state.in_a_row >= SKIPPED_IN_A_ROW:
                self._go_back(f"{SKIPPED_IN_A_ROW} steps in a row were skipped")
                return False
            if session.should_stop():
                raise Stopped
            if self.clock.seconds - self.last_save > session.config.save_every:
                self._settle()
                # Not at the end of an epoch: what its validation refuses must not be all there is to go back to.
                if not self.state.in_a_row and self.state.position < self.budget.batches_per_epoch:
                    self._save()
        self._settle()
        if self.state.in_a_row >= SKIPPED_IN_A_ROW:
            self._go_back(f"{SKIPPED_IN_A_ROW} steps in a row were skipped")
            return False
        if self.state.position == self.state.skipped:
            self._go_back("all steps of the epoch were skipped")
            return False
        return True

    def _step(self, clips: Tensor, part: Part, seconds: float) -> None:
        """One optimiser step on this process's clips (B, T, C, H, W) of a batch."""
        config, session, device = self.session.config, self.session, self.session.compute.device
        began = time.perf_counter()
        spent = self.state.steps + len(self._under_way), seconds
        clips = augment(clips, config.augment, (config.seed, spent[0]), part)
        there = valid(clips, clips.device)
        # Of several processes none leaves inside a step, since the others wait for its gradient.
        with at_once(session.should_stop) if session.ranks.world == 1 else contextlib.nullcontext():
            frames = to_float(send(clips, device), device)
            there = None if there is None else send(there, device)
            begun = self.step.begin(frames, self.budget.feeding(*spent), part, there)
        outcome = self.step.end(begun, self.budget.rate(*spent) * LOWER**self.state.went_back)
        self._under_way.append(UnderWay(outcome, part[1], began))
        self._settle(ahead=0 if self.step.waits else AHEAD)

    def _settle(self, ahead: int = 0) -> None:
        """Takes the outcomes of the steps under way into the state, but for the last `ahead` ones.

        Those that follow too many skipped ones are left: training goes back to before them.
        """
        while len(self._under_way) > ahead and self.state.in_a_row < SKIPPED_IN_A_ROW:
            self._take(self._under_way.popleft())

    def _take(self, step: UnderWay) -> None:
        """Takes the outcome of a step into the state, and reports it."""
        state = self.state
        loss, learned = step.outcome()
        now = time.perf_counter()
        # From the end of the step before where that was under way still when this one began.
        seconds, self._settled = now - max(step.began, self._settled), now
        state.steps += 1
        state.position += 1
        if not learned:
            state.skipped += 1
            state.in_a_row += 1
            self.session.progress.note(
                f"step {state.steps}: the loss or its gradient is not finite, so the step is skipped "
                f"({state.in_a_row} in a row)"
            )
            return
        state.in_a_row = 0
        state.loss_sum += loss
        self.step_seconds.append(seconds)
        self.session.progress.stepped(
            StepReport(
                steps=state.steps,
                epoch=state.epoch + 1,
                loss=state.mean_loss,
                clips_per_second=step.clips / seconds,
                share=self.budget.progress(state.steps, self.clock.seconds),
                seconds_left=self.budget.seconds_left(state.steps, self.clock.seconds),
            )
        )

    def _go_back(self, why: str) -> None:
        """Goes back to the last checkpoint, with a lower learning rate.

        Raises ConvLSTMError where that is of no use, and RunError where the checkpoint is gone.
        """
        session, failed = self.session, self.state
        folder = session.run.folder
        for step in self._under_way:  # they follow from what is given up, and must not go on while that is replaced
            step.outcome()
        self._under_way.clear()
        saved = session.run.load_resume()
        if saved is None:
            raise RunError(f"{folder}: its resume.pt is gone, so training cannot go back to it; start a new run.")
        # After an interruption of the validation no step is left to be made otherwise.
        spent = saved.state.position >= self.budget.batches_per_epoch
        if failed.went_back == GOES_BACK or spent:
            raise ConvLSTMError(
                f"training diverged at step {failed.steps} ({why}), even with {LOWER**failed.went_back:g} "
                f"times the learning rate; {folder} keeps its last checkpoint. Train again with a lower "
                f"--learning-rate than {session.config.learning_rate:g}, or --precision fp32."
            )
        session.ranks.wait()  # before rank 0 writes it anew
        self.state = restored(session.run, saved, self.step)
        self.state.went_back, self.state.in_a_row = failed.went_back + 1, 0
        self._save()
        session.progress.note(
            f"{why}: going back from step {failed.steps} to {self.state.steps}, with "
            f"{LOWER**self.state.went_back:g} times the learning rate"
        )

    def _validate(self) -> None:
        """Scores the averaged weights, which ends the epoch; goes back where they or their forecasts are not finite."""
        state, session, network = self.state, self.session, self.step.averaged
        evaluation = session.evaluate(network, self.validation, COPYING, self.copied)
        self.copied = evaluation.persistence
        if not math.isfinite(evaluation.model.mean_mse) or not self.step.is_sound:
            self._go_back("weights or forecasts of the validation are not finite")
            return
        improved = evaluation.model.mean_mse < state.best_mse
        if improved:
            state.best_mse, state.best_epoch = evaluation.model.mean_mse, state.epoch + 1
        state.history.append(self._record(evaluation))
        state.epoch, state.position, state.loss_sum, state.skipped = state.epoch + 1, 0, 0.0, 0
        if session.ranks.is_first:
            # Before the checkpoint, since no resumed run comes back to it.
            write_sample(session.run, network, self.validation, session.compute, state.epoch, session.config.colormap)
            if improved:
                session.run.save_weights(network.state_dict())
        self._save()
        if session.ranks.is_first:
            session.run.write_metrics(state.history)
        session.progress.epoch_ended(state.history[-1].to_json(), improved)

    def _record(self, evaluation: Evaluation) -> EpochRecord:
        """The epoch that ends with this validation."""
        return EpochRecord(
            epoch=self.state.epoch + 1,
            steps=self.state.steps,
            seconds=round(self.clock.seconds, 3),
            learning_rate=float(self.step.optimizer.param_groups[-1]["lr"]),
            train_loss=self.state.mean_loss,
            skipped_steps=self.state.skipped,
            validation=EvaluationRecord.from_json(evaluation.to_dict()),
        )

    def _seconds(self) -> float:
        """Time of the training, the same for all processes where anything depends on it."""
        return self.clock.seconds if self.budget.seconds is None else self.session.ranks.of_first(self.clock.seconds)

    def _save(self) -> None:
        while self._under_way:  # all that the weights hold
            self._take(self._under_way.popleft())
        self.state.seconds = self.last_save = self.clock.seconds
        if self.session.ranks.is_first and self.step.is_sound:  # else the last checkpoint is the better one
            self.session.run.save_resume(Checkpoint(self.state, self.step.state_dict()))

    @contextlib.contextmanager
    def _saved_at_the_end(self) -> Iterator[None]:
        """Saves when the training is asked to stop, or another process is lost.

        Both happen between two steps, or in the first half of one, which leaves no trace.
        """
        ranks = self.session.ranks
        go_on = f"go on with: convlstm train -o {quoted(self.session.run.folder)} --resume"
        try:
            yield
        except Stopped:
            self._save()
            raise Interrupted(f"interrupted, and saved; {go_on}") from None
        except RuntimeError as error:
            if ranks.world == 1 or is_out_of_memory(error) or not is_lost(error):
                raise
            self._save()
            raise LostProcessError(
                f"another process of this training has ended; what was reached is saved, {go_on}"
            ) from error


def restored(run: Run, saved: Checkpoint, step: TrainStep) -> State:
    """The state of a checkpoint, after its weights and moments are loaded into `step`.

    Raises RunError where they do not fit the run's settings.
    """
    try:
        step.load_state_dict(saved.step)
    except (LookupError, TypeError, ValueError, RuntimeError, AttributeError) as error:
        raise RunError(
            f"{run.folder / 'resume.pt'}: does not fit this run ({str(error).splitlines()[0]}); start a new one."
        ) from error
    return saved.state
