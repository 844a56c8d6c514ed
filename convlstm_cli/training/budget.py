"""How long training goes on, and what changes with its progress: the learning rate, and how often truth is fed."""

import time

from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.schedule import LOWEST_RATE, SCHEDULES


class Clock:
    """The seconds that training has taken, over all resumed parts."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._start = time.monotonic() - seconds

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._start


class Budget:
    """The steps and seconds that a training may take; the limit that is reached first ends it."""

    def __init__(self, config: TrainConfig, batches_per_epoch: int) -> None:
        epochs = config.epoch_limit
        limits = [config.max_steps, None if epochs is None else epochs * batches_per_epoch]
        self.batches_per_epoch = batches_per_epoch
        self.steps = min((limit for limit in limits if limit is not None), default=None)
        self.seconds = config.max_time
        self._config = config
        self._schedule = SCHEDULES[config.schedule]

    def progress(self, steps: int, seconds: float) -> float:
        """Share of the budget that is used, in [0, 1]."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(steps / self.steps)
        if self.seconds is not None:
            shares.append(seconds / self.seconds)
        return min(max(shares), 1.0)

    def spent(self, steps: int, seconds: float) -> bool:
        """Whether nothing is left."""
        return self.progress(steps, seconds) >= 1.0

    def rate(self, steps: int, seconds: float) -> float:
        """Learning rate as a share of its highest value: a linear warm-up, then the schedule."""
        progress, warmup = self.progress(steps, seconds), self._config.warmup
        if progress < warmup:
            return max(LOWEST_RATE, progress / warmup)
        return self._schedule.rate((progress - warmup) / (1.0 - warmup))

    def feeding(self, steps: int, seconds: float) -> float:
        """Probability that the forecaster is fed the true frame; it falls to 0 over the first half of the training."""
        return self._config.scheduled_sampling * max(0.0, 1.0 - 2.0 * self.progress(steps, seconds))

    def seconds_left(self, steps: int, seconds: float) -> float | None:
        """Estimate from the speed so far; None before the first step."""
        progress = self.progress(steps, seconds)
        return seconds * (1.0 - progress) / progress if progress > 0 else None
