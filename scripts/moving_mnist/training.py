"""Timing, planning and resumable training of the compared systems."""

import json
import math
import pickle
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from convlstm_cli.compute import device
from convlstm_cli.errors import ConvLSTMError, Interrupted, RunError
from convlstm_cli.files import replacing, write_text
from convlstm_cli.video.tensors import to_float
from moving_mnist.digits import Digits, Mnist
from moving_mnist.sequences import sequences
from moving_mnist.settings import Settings
from moving_mnist.systems import System, make

TRAIN, VALIDATION, TEST = 0, 1, 2
"""The purpose of a sequence, a part of its random key."""
CHUNK = 50
"""Validation and test sequences that are drawn and forecast at a time."""
WARM_UP, ROUNDS = 2, 10
SPEAK_EVERY = 30.0
"""Seconds between two reports of progress."""

Say = Callable[[str], None]
ShouldStop = Callable[[], bool]


class Clips(Protocol):
    """Where training, validation and test clips come from, (B, T, C, H, W) in [0, 1] on the device."""

    input_frames: int

    def batch(self, number: int) -> Tensor:
        """Training clips of a step, the same for every system."""

    def validation(self, chunk: int) -> Tensor:
        """The validation clips CHUNK * chunk to CHUNK * (chunk + 1)."""

    def test(self, chunk: int) -> Tensor:
        """The test clips CHUNK * chunk to CHUNK * (chunk + 1)."""


class Source:
    """Sequences on the device; each depends on the seed and its number only."""

    def __init__(self, mnist: Mnist, settings: Settings) -> None:
        self._mnist = mnist
        self._seed, self._batch_size = settings.train.seed, settings.train.batch_size
        self._frames = settings.model.clip_frames
        self._device = device.choose(settings.train.device, settings.train.precision).device
        self.input_frames = settings.model.input_frames

    def batch(self, number: int) -> Tensor:
        """Training sequences of a step, (B, T, 1, 64, 64) in [0, 1]."""
        return self._draw(self._mnist.train, self._batch_size, (self._seed, TRAIN, number))

    def validation(self, chunk: int) -> Tensor:
        """CHUNK sequences of the held-out digits, the same for any seed."""
        return self._draw(self._mnist.validation, CHUNK, (0, VALIDATION, chunk))

    def test(self, chunk: int) -> Tensor:
        """CHUNK sequences of the test digits, the same for any seed."""
        return self._draw(self._mnist.test, CHUNK, (0, TEST, chunk))

    def _draw(self, digits: Digits, count: int, key: tuple[int, ...]) -> Tensor:
        return to_float(torch.from_numpy(sequences(digits, count, self._frames, key)), self._device)


def time_steps(source: Clips, settings: Settings, should_stop: ShouldStop, say: Say) -> dict[str, list[float]]:
    """Seconds of training steps, batches included, of all systems in turn; the trained weights are discarded."""
    say(f"timing {WARM_UP + ROUNDS} steps of each system in turn")
    made = {name: make(name, settings, WARM_UP + ROUNDS) for name in settings.systems}
    seconds: dict[str, list[float]] = {name: [] for name in made}
    for number in range(WARM_UP + ROUNDS):
        # The order alternates, since each step leaves its caches and the processor's clock to the next one.
        for name in list(made) if number % 2 else list(made)[::-1]:
            began = time.perf_counter()
            made[name].step(source.batch(number), number)
            if number >= WARM_UP:
                seconds[name].append(time.perf_counter() - began)
        if should_stop():
            raise Interrupted("stopped while the steps were timed; nothing was saved")
    return seconds


def plan(source: Clips, settings: Settings, should_stop: ShouldStop, say: Say) -> dict[str, Any]:
    """The number of steps of every system, and the timing that it follows from.

    Raises Interrupted when `should_stop` returns True.
    """
    timed = time_steps(source, settings, should_stop, say)
    middle = {name: statistics.median(seconds) for name, seconds in timed.items()}
    steps = dict.fromkeys(timed, settings.steps)
    if settings.minutes is not None:
        steps = {name: max(1, int(settings.minutes * 60 / seconds)) for name, seconds in middle.items()}
    return {"step_seconds": middle, "rounds": timed, "steps": steps}


class Training:
    """One system's training, saved in a file."""

    def __init__(self, name: str, settings: Settings, source: Clips, steps: int, folder: Path) -> None:
        self.name, self.steps = name, steps
        self.system: System = make(name, settings, steps)
        self._settings, self._source, self._folder = settings, source, folder
        self._path = folder / f"{name}.pt"
        self.state: dict[str, Any] = {"steps": 0, "seconds": 0.0, "loss_sum": 0.0, "loss_steps": 0, "curve": []}
        if self._path.exists():
            self._load()

    @property
    def ended(self) -> bool:
        """Whether the training is complete."""
        return bool(self.state["steps"] == self.steps) and not self._point_is_due

    def run(self, should_stop: ShouldStop, say: Say) -> None:
        """Trains to the end. Raises Interrupted, after saving, when `should_stop` returns True."""
        state, settings, source = self.state, self._settings, self._source
        say(f"{self.name}: {self.steps} steps, {state['steps']} of them done")
        saved = spoke = time.monotonic()
        while True:
            if self._point_is_due:
                self._add_point(should_stop, say)
            if state["steps"] == self.steps:
                break
            number = state["steps"]
            began = time.perf_counter()
            loss = self.system.step(source.batch(number), number)
            state["seconds"] += time.perf_counter() - began
            if not math.isfinite(loss):
                raise ConvLSTMError(
                    f"{self.name}: the loss or its gradient is not finite at step {number + 1}; "
                    "start again in another --output, with a lower learning rate."
                )
            state["steps"] += 1
            state["loss_sum"] += loss
            state["loss_steps"] += 1
            self._stop_if_asked(should_stop)
            now = time.monotonic()
            if now - saved > settings.train.save_every:
                self.save()
                saved = time.monotonic()
            if now - spoke > SPEAK_EVERY:
                say(f"{self.name}: step {state['steps']} of {self.steps}, loss {loss:.5f}")
                spoke = now
        self.save()

    def save(self) -> None:
        """Writes the state, and the learning curve beside it."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with replacing(self._path) as partial:
            torch.save({"state": self.state, "system": self.system.state_dict()}, partial)
        curve = "".join(json.dumps(row) + "\n" for row in self.state["curve"])
        write_text(self._folder / f"{self.name}-curve.jsonl", curve)

    def _load(self) -> None:
        try:
            saved = torch.load(self._path, map_location="cpu", weights_only=True)
            self.system.load_state_dict(saved["system"])
            self.state = saved["state"]
        except (OSError, RuntimeError, ValueError, EOFError, KeyError, pickle.UnpicklingError) as error:
            first = (str(error) or type(error).__name__).splitlines()[0]
            raise RunError(f"{self._path}: cannot be read ({first}); choose another --output.") from error

    @property
    def _point_is_due(self) -> bool:
        steps, curve, points = self.state["steps"], self.state["curve"], self._settings.curve
        if not points or not steps or (curve and curve[-1]["steps"] == steps):
            return False
        return bool(steps == self.steps or steps % math.ceil(self.steps / points) == 0)

    def _stop_if_asked(self, should_stop: ShouldStop) -> None:
        if should_stop():
            self.save()
            raise Interrupted(f"{self.name}: saved after {self.state['steps']} of {self.steps} steps")

    def _add_point(self, should_stop: ShouldStop, say: Say) -> None:
        state = self.state
        squared = []
        wanted = self._settings.validation_sequences
        for chunk in range(math.ceil(wanted / CHUNK)):
            clips = self._source.validation(chunk)[: wanted - chunk * CHUNK]
            frames, truth = clips.tensor_split([self._source.input_frames], dim=1)
            error = self.system.forecast(frames) - truth
            squared.append(error.square().sum(dim=(2, 3, 4)).mean(dim=1).cpu().numpy())  # (B,) of a frame
            self._stop_if_asked(should_stop)  # the next call repeats this validation
        point = {
            "system": self.name,
            "steps": state["steps"],
            "seconds": round(state["seconds"], 3),
            "learning_rate": self.system.rate(state["steps"] - 1),
            "train_loss": state["loss_sum"] / state["loss_steps"],
            "validation_mse": float(np.concatenate(squared).astype(np.float64).mean()),
        }
        state["loss_sum"], state["loss_steps"] = 0.0, 0
        state["curve"].append(point)
        say(f"{self.name}: step {state['steps']} of {self.steps}, validation MSE {point['validation_mse']:.2f}")
