"""One optimiser step of a network: the loss, its gradient, the moving average of the weights."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from convlstm_cli.compute import graphs
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.compute.transfer import Reading, send
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.nn.noise import Noise
from convlstm_cli.runs import checkpoint
from convlstm_cli.training.averaging import averaged
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.device_step import DeviceStep
from convlstm_cli.training.draws import Draws, Part
from convlstm_cli.training.objective import Batch, Objective
from convlstm_cli.training.optimisers import OPTIMISERS
from convlstm_cli.video.values import BYTES, ValueRange


class Outcome(NamedTuple):
    """What a step gave."""

    loss: float
    learned: bool
    """Whether it changed the weights: not where the loss or its gradient is not finite (in fp16: at no scale)."""


class Begun(NamedTuple):
    """A step that has begun and has left no trace yet."""

    batch: Batch
    loss: float | None
    """None where the step is computed as a whole, on the device."""


Pending = Callable[[], Outcome]
"""A step that was made: called, it gives the outcome, for which a device may have to be waited for."""


def initial_network(model: ForecasterConfig, seed: int) -> EncoderForecaster:
    """The network with the initial weights of a training with this seed."""
    torch.manual_seed(seed)
    return EncoderForecaster(model)


class TrainStep:
    """A network and its optimiser; called with a batch, it makes one optimiser step.

    The step has two halves: `begin`, which may be left at any point without a trace, and `end`. On a GPU (one process,
    no fp16) the second computes all of the step, as one CUDA graph, and decides there whether it is learned from
    (`device_step.py`); else the first computes the gradient (`differentiate`), and the second makes a step along it
    (`apply`).
    """

    def __init__(
        self,
        model: ForecasterConfig,
        config: TrainConfig,
        compute: Compute,
        initial: dict[str, Tensor] | None,
        ranks: Ranks = ALONE,
        values: ValueRange = BYTES,
        note: Callable[[str], None] = lambda _message: None,
    ) -> None:
        """`values` is the range of the clips' values, in which the loss may have thresholds.

        `note` receives a message where a GPU computes the steps but cannot capture them.
        """
        self.network = initial_network(model, config.seed)
        if initial is not None:
            self.network.load_state_dict(initial)
        self.network.to(compute.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.network.checkpoint_every(config.checkpoint_every)
        on_device = compute.device.type in graphs.RECORDERS and ranks.world == 1 and compute.dtype != torch.float16
        self._average = averaged(self.network, config.average, compute.device if on_device else None)
        self._kind = OPTIMISERS[config.optimizer]
        self.optimizer = self._kind.build(self.network, config)
        self._highest_rates: list[float] = [group["lr"] for group in self.optimizer.param_groups]
        self._objective = Objective(self.network, ranks.parallel(self.network), config, compute, values)
        # float16 has no room for small gradients: they are scaled up before the backward, and down again after it.
        self._scaler = torch.amp.GradScaler(compute.device.type, enabled=compute.dtype == torch.float16)
        self._config = config
        self._compute = compute
        self._ranks = ranks
        self._steps = 0
        self._on_device: DeviceStep | None = None
        if on_device:
            self._on_device = DeviceStep(
                self._objective,
                self.network,
                self.optimizer,
                self._average,
                clip_norm=config.clip_norm,
                decay=config.average,
                note=note,
            )
        elif compute.device.type in graphs.RECORDERS:
            note("optimiser steps are launched one by one: fp16, and several processes, have no CUDA graphs")

    @property
    def averaged(self) -> EncoderForecaster:
        """The network with the moving average of the weights: what is validated, saved and used."""
        network = self._average.module
        assert isinstance(network, EncoderForecaster)
        return network

    @property
    def waits(self) -> bool:
        """Whether `end` waits for the device, so that the outcome is there when it returns."""
        return self._on_device is None

    @property
    def warm_ups(self) -> int:
        """Steps that take longer than the later ones, because their operations are prepared."""
        return graphs.WARM_UPS + 1 if self._on_device is not None and self._on_device.captured.why_not is None else 1

    def __call__(self, clips: Tensor, rate: float = 1.0, feeding: float = 0.0) -> float:
        """Learns from clips (B, T, C, H, W) in [0, 1] and returns their loss.

        `rate` is a share of the learning rate, `feeding` the probability that the forecaster is fed true frames.
        Returns NaN, and learns nothing, where the loss or its gradient is not finite (in fp16: at no scale).
        """
        outcome = self.end(self.begin(clips, feeding), rate)()
        return outcome.loss if outcome.learned else math.nan

    def begin(
        self, clips: Tensor, feeding: float = 0.0, part: Part | None = None, valid: Tensor | None = None
    ) -> Begun:
        """Computes what `end` needs, and changes nothing else; arguments as for `differentiate`."""
        if self._on_device is None:
            return Begun(Batch(clips), self.differentiate(clips, feeding, part, valid))
        batch, noise = self._prepared(clips, feeding, part, valid)
        if noise is not None:  # drawn now, because what is captured asks the CPU nothing
            model = self.network.config
            size, steps = (clips.shape[-2], clips.shape[-1]), clips.shape[1] - model.input_frames
            drawn = noise.drawn(len(clips), size, model.patch_size, steps)
            batch = Batch(*batch[:4], *(send(each, clips.device) for each in drawn))
        return Begun(batch, None)

    def end(self, begun: Begun, rate: float = 1.0) -> Pending:
        """Makes the step, at a share of the learning rate."""
        if self._on_device is None:
            assert begun.loss is not None
            outcome = Outcome(begun.loss, self.apply(begun.loss, rate))
            return lambda: outcome
        self._steps += 1
        self._set_rate(rate)
        reading = Reading(self._on_device(begun.batch))

        def read() -> Outcome:
            loss, learned = reading.read()
            return Outcome(loss, bool(learned))

        return read

    def differentiate(
        self, clips: Tensor, feeding: float = 0.0, part: Part | None = None, valid: Tensor | None = None
    ) -> float:
        """Computes the loss of a batch and its gradient, and changes nothing else.

        Args:
            clips: (B, T, C, H, W) in [0, 1], the clips of the batch that this process computes; the channels that are
                forecast first, then further inputs.
            feeding: probability that the forecaster is fed true frames.
            part: their places in the batch; None is the whole batch. Without positions, the clips count for nothing.
            valid: where the clips have values, bool like them; elsewhere nothing is learned, and a network that reads
                a mask sees which these are. None is everywhere.

        Returns the loss of the whole batch.
        """
        positions, count = part or (range(len(clips)), len(clips))
        weight = len(positions) / count
        self.optimizer.zero_grad()
        loss = self._objective(*self._prepared(clips, feeding, part, valid))
        # DistributedDataParallel takes the mean over the processes; the mean over the clips is wanted.
        weighted = loss if self._ranks.world == 1 else loss * (weight * self._ranks.world)
        # Before the backward where there are several, so that a lost one is noticed here and not on the device.
        total = None if self._ranks.world == 1 else self._ranks.sum(loss.item() * weight)
        self._scaler.scale(weighted).backward()  # type: ignore[no-untyped-call]
        return loss.item() if total is None else total

    def apply(self, loss: float, rate: float = 1.0) -> bool:
        """Makes a step along the gradient that `differentiate` left, at a share of the learning rate.

        Returns False, and changes no weight, where the loss or the gradient is not finite (in fp16: at no scale).
        """
        self._steps += 1
        self._set_rate(rate)
        self._scaler.unscale_(self.optimizer)
        norm = nn.utils.clip_grad_norm_(self.network.parameters(), self._config.clip_norm or math.inf)
        finite = math.isfinite(norm)
        if not math.isfinite(loss) or not (finite or self._scaler.is_enabled()):
            self._scaler.update()
            return False  # before it gets into the weights
        self._scaler.step(self.optimizer)  # makes no step where the scale was too high, and `update` lowers it
        self._scaler.update()
        if finite:
            self._average.update_parameters(self.network)
        return finite or self._scaler.get_scale() >= 1.0

    @property
    def is_sound(self) -> bool:
        """Whether a checkpoint of the weights and the optimiser's moments would be accepted by `runs/checkpoint.py`."""
        weights = [*self.network.state_dict().values(), *self.averaged.state_dict().values()]
        moments = [value for kept in self.optimizer.state.values() for value in kept.values()]
        return all(bool((each.abs() <= checkpoint.MAX_WEIGHT).all()) for each in weights) and all(
            bool(each.isfinite().all()) for each in moments
        )

    def state_dict(self) -> dict[str, Any]:
        """Everything that a step depends on, as tensors and plain values."""
        return {
            "network": self.network.state_dict(),
            "average": self._average.state_dict(),
            "optimizer": self._optimizer_state(),
            "scaler": self._scaler.state_dict(),
            "steps": self._steps,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores what `state_dict` returned. Raises ValueError, or what torch raises, where it does not fit."""
        self.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        # Only the learning rate is restored: everything else is configured by the run's record.
        own, saved = self._optimizer_state()["param_groups"], state["optimizer"]["param_groups"]
        if len(own) != len(saved):
            raise ValueError("the optimiser's state is of another kind")
        merged = [{**group, "lr": other["lr"]} for group, other in zip(own, saved, strict=True)]
        self.optimizer.load_state_dict({**state["optimizer"], "param_groups": merged})
        checkpoint.check_moments(self.optimizer, self._kind.moments)
        if state["scaler"]:  # empty unless it was fp16
            self._scaler.load_state_dict(state["scaler"])
        self._steps = state["steps"]
        if self._on_device is not None:
            self._on_device.restart()

    def _prepared(
        self, clips: Tensor, feeding: float, part: Part | None, valid: Tensor | None
    ) -> tuple[Batch, Noise | None]:
        """What the loss of a batch is computed from, with all that the step draws."""
        draws = Draws(self._config.seed, self._steps)
        part = part or (range(len(clips)), len(clips))
        forced = draws.teacher_forced(part, clips.shape[1] - self.network.config.input_frames, feeding)
        dropout = draws.dropout(part, self.network.config)
        forced, dropout = (None if each is None else send(each, clips.device) for each in (forced, dropout))
        return Batch(clips, valid, forced, dropout), draws.noise(part, self._config.members)

    def _set_rate(self, rate: float) -> None:
        for group, highest in zip(self.optimizer.param_groups, self._highest_rates, strict=True):
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(highest * rate)
            else:
                group["lr"] = highest * rate

    def _optimizer_state(self) -> dict[str, Any]:
        """The optimiser's state_dict, with learning rates as numbers."""
        state: dict[str, Any] = self.optimizer.state_dict()
        return {**state, "param_groups": [{**group, "lr": float(group["lr"])} for group in state["param_groups"]]}
