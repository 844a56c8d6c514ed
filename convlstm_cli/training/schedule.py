"""How long training goes on, and what changes on the way: the learning rate, and how often truth is fed."""

import math
import time

from convlstm_cli.training.config import TrainConfig


class Clock:
    """Seconds that training has taken, over all resumed parts."""

    def __init__(self, seconds: float = 0.0) -> None:
        self._start = time.monotonic() - seconds

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return time.monotonic() - self._start


class Budget:
    """The steps and seconds that a training may take: whichever of its limits is reached first."""

    lowest_rate = 0.01
    """The learning rate starts and ends at this share of its highest value."""

    def __init__(self, config: TrainConfig, batches_per_epoch: int) -> None:
        epochs = config.epoch_limit
        limits = [config.max_steps, None if epochs is None else epochs * batches_per_epoch]
        self.batches_per_epoch = batches_per_epoch
        self.steps = min((limit for limit in limits if limit is not None), default=None)
        self.seconds = config.max_time
        self._config = config

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
        """Learning rate as a share of its highest value: a linear warm-up, then half a cosine or all of it."""
        progress, warmup = self.progress(steps, seconds), self._config.warmup
        if progress < warmup:
            return max(self.lowest_rate, progress / warmup)
        if self._config.schedule == "constant":
            return 1.0
        falling = (progress - warmup) / (1.0 - warmup)
        return self.lowest_rate + (1.0 - self.lowest_rate) * 0.5 * (1.0 + math.cos(math.pi * falling))

    def feeding(self, steps: int, seconds: float) -> float:
        """Probability that a forecaster is fed the true frame: falls to 0 over the first half of the training."""
        return self._config.scheduled_sampling * max(0.0, 1.0 - 2.0 * self.progress(steps, seconds))

    def seconds_left(self, steps: int, seconds: float) -> float | None:
        """Estimate from the speed so far; None while there is nothing to estimate from."""
        progress = self.progress(steps, seconds)
        return seconds * (1.0 - progress) / progress if progress > 0 else None
