"""The compared systems: ours with its training recipe, and the plain PyTorch ConvLSTM with the usual one."""

from dataclasses import replace
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.plain import PlainCell
from convlstm_cli.compute import device
from convlstm_cli.forecasting.inference import forecast_clip
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.training.augmentation import augment
from convlstm_cli.training.budget import Budget
from convlstm_cli.training.initial import start
from convlstm_cli.training.step import TrainStep
from moving_mnist.settings import Settings, free

PLAIN_RATE = 1e-3


class System(Protocol):
    """A network in training."""

    parameters: int

    def step(self, clips: Tensor, number: int) -> float:
        """One optimiser step, `number` counted from 0, on clips (B, T, C, H, W) in [0, 1] on the device; its loss."""

    def rate(self, number: int) -> float:
        """The learning rate of step `number`."""

    def forecast(self, frames: Tensor) -> Tensor:
        """The frames after (B, T, C, H, W), as (B, horizon, C, H, W) in [0, 1]."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the following steps depend on."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores a state that `state_dict` returned."""


def make(name: str, settings: Settings, steps: int) -> System:
    """The system at the start of a training of `steps` steps."""
    return Ours(settings, steps) if name == "ours" else Plain(settings)


def describe(settings: Settings) -> dict[str, str]:
    """One line of description for each system."""
    options = free("model", settings.model) | free("train", settings.train)
    lines = {
        "ours": "EncoderForecaster and TrainStep of this package with "
        + ", ".join(f"{name} {_text(value)}" for name, value in options.items()),
        "plain": "encoder-forecaster of plain cells, as wide and deep: one convolution over x and h, no peepholes, "
        "zero states, torch's own initial values; the forecaster reads nothing; "
        f"{settings.plain_head} head, mse loss, Adam at a constant {PLAIN_RATE:g}, fp32",
    }
    return {name: lines[name] for name in settings.systems}


def _text(value: object) -> str:
    return (",".join(map(str, value)) or "none") if isinstance(value, tuple) else str(value)


class Ours:
    """The optimiser step of `convlstm train`, with its learning rate schedule over a known number of steps."""

    def __init__(self, settings: Settings, steps: int) -> None:
        self._compute = device.choose(settings.train.device, settings.train.precision)
        learning = device.choose(settings.train.device, settings.train.precision, learning=True)
        begun = start(settings.train.init, settings.model)
        train = replace(settings.train, init=begun.init)
        self._config = replace(train, max_steps=steps)
        self._step = TrainStep(settings.model, self._config, learning, begun.weights)
        self._horizon = settings.model.horizon
        self._budget = Budget(self._config, batches_per_epoch=1)
        self.parameters = count(self._step.network)

    def step(self, clips: Tensor, number: int) -> float:
        clips = augment(clips, self._config.augment, seed=(self._config.seed, number))
        return self._step(clips, self._budget.rate(number, 0.0), self._budget.feeding(number, 0.0))

    def rate(self, number: int) -> float:
        return self._config.learning_rate * self._budget.rate(number, 0.0)

    def forecast(self, frames: Tensor) -> Tensor:
        return forecast_clip(self._step.averaged, frames, self._horizon, self._compute)

    def state_dict(self) -> dict[str, Any]:
        return self._step.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._step.load_state_dict(state)


class Plain:
    """The plain network, trained with MSE and Adam at a constant learning rate."""

    def __init__(self, settings: Settings) -> None:
        compute = device.choose(settings.train.device, "fp32")
        torch.manual_seed(settings.train.seed)
        self._network = PlainForecaster(settings.model, settings.plain_head).to(compute.device)
        self._optimizer = torch.optim.Adam(self._network.parameters(), lr=PLAIN_RATE)
        self._input_frames = settings.model.input_frames
        self.parameters = count(self._network)

    def step(self, clips: Tensor, number: int) -> float:  # noqa: ARG002 - its learning rate never changes
        frames, truth = clips.tensor_split([self._input_frames], dim=1)
        self._optimizer.zero_grad()
        loss = F.mse_loss(self._network(frames), truth)
        loss.backward()  # type: ignore[no-untyped-call]
        self._optimizer.step()
        return loss.item()

    def rate(self, number: int) -> float:  # noqa: ARG002
        return PLAIN_RATE

    def forecast(self, frames: Tensor) -> Tensor:
        with torch.inference_mode():
            forecast: Tensor = self._network(frames)
            return forecast.clamp(0.0, 1.0)

    def state_dict(self) -> dict[str, Any]:
        return {"network": self._network.state_dict(), "optimizer": self._optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._network.load_state_dict(state["network"])
        self._optimizer.load_state_dict(state["optimizer"])


class PlainForecaster(nn.Module):
    """Plain cells in a loop over time, in the paper's two stacks, with as many layers and channels as ours.

    With `--forecaster unconditioned`, `--head sigmoid`, no peepholes and equal weights, ours computes the same.
    """

    def __init__(self, config: ForecasterConfig, head: str) -> None:
        super().__init__()
        self.config, self.head_kind = config, head
        below = (config.patch_channels, *config.hidden)
        sizes = list(zip(below, config.hidden, strict=False))
        self.encoder = nn.ModuleList(PlainCell(fan_in, hidden, config.kernel_size) for fan_in, hidden in sizes)
        sizes[0] = (0, config.hidden[0])  # the forecaster reads nothing
        self.forecaster = nn.ModuleList(PlainCell(fan_in, hidden, config.kernel_size) for fan_in, hidden in sizes)
        self.head = nn.Conv2d(sum(config.hidden), config.patch_channels, 1)

    def forward(self, frames: Tensor) -> Tensor:
        """(B, T, C, H, W) to (B, horizon, C, H, W)."""
        config = self.config
        patches = F.pixel_unshuffle(frames, config.patch_size)
        zeros = [patches.new_zeros(len(patches), hidden, *config.grid) for hidden in config.hidden]
        states = [(zero, zero) for zero in zeros]
        for t in range(patches.shape[1]):
            self._advance(self.encoder, patches[:, t], states)
        outputs = []
        for _ in range(config.horizon):
            self._advance(self.forecaster, None, states)
            outputs.append(self.head(torch.cat([h for h, _ in states], dim=1)))
        new = F.pixel_shuffle(torch.stack(outputs, dim=1), config.patch_size)
        return torch.sigmoid(new) if self.head_kind == "sigmoid" else new

    @staticmethod
    def _advance(cells: nn.ModuleList, x: Tensor | None, states: list[tuple[Tensor, Tensor]]) -> None:
        for index, cell in enumerate(cells):
            states[index] = cell(x, *states[index])
            x = states[index][0]


def count(network: nn.Module) -> int:
    """The number of trained parameters."""
    return sum(parameter.numel() for parameter in network.parameters())
