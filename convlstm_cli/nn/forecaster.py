"""The encoder-forecaster: reads frames, unrolls the next ones (Shi et al. 2015, section 3.2)."""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.layer import ConvLSTM
from convlstm_cli.nn.recurrence import State


class EncoderForecaster(nn.Module):
    """Stacked ConvLSTM layers read the input frames; their last states start a second stack that forecasts.

    A 1x1 convolution over all hidden states of the second stack, concatenated, gives the frames: through σ
    with `head="sigmoid"` (the paper), or as the change since the last frame with `head="residual"`.
    """

    def __init__(self, config: ForecasterConfig) -> None:
        super().__init__()
        self.config = config
        stacks: dict[str, nn.ModuleList] = {"encoder": nn.ModuleList(), "forecaster": nn.ModuleList()}
        for layer in config.layers():
            stacks[layer["role"]].append(
                ConvLSTM(
                    layer["in_channels"],
                    layer["hidden_channels"],
                    config.kernel_size,
                    config.recurrent_kernel,
                    peephole=config.peephole,
                    image_size=config.grid,
                    forget_bias=config.forget_bias,
                    gate_activation=config.gate_activation,
                    peephole_init=config.peephole_init,
                    detach_peepholes=config.detach_peepholes,
                )
            )
        self.encoder = stacks["encoder"]
        self.forecaster = stacks["forecaster"]
        self.head = nn.Conv2d(sum(config.hidden), config.patch_channels, kernel_size=1)
        if config.head == "residual":
            # Training starts at the forecast that copies the last frame, the baseline to beat.
            nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def checkpoint_every(self, steps: int | None) -> None:
        """Lets all layers keep the gates of only so many steps for the backward; see `ConvLSTM`."""
        for layer in (*self.encoder, *self.forecaster):
            assert isinstance(layer, ConvLSTM)
            layer.checkpoint_every = steps

    def forward(self, frames: Tensor, horizon: int | None = None) -> Tensor:
        """Forecasts the frames that follow.

        Args:
            frames: (B, T, C, H, W), values in [0, 1], any T >= 1.
            horizon: number of frames to forecast; None takes the configured one.

        Returns:
            (B, horizon, C, H, W). In evaluation mode values lie in [0, 1]; in training mode a residual
            forecast may lie outside, so that its gradient does not vanish there.

        Raises:
            UsageError: frames that the configuration's channels, patch size or `full` peepholes do not fit, or a
                horizon below 1.
        """
        horizon = self._check(frames, horizon)
        return self._forecast(frames[:, -1:], self._encode(frames), horizon)[0]

    def stream(self, frames: Tensor, horizon: int | None = None, *, chunk: int) -> Iterator[Tensor]:
        """What `forward` gives, in pieces, each computed when it is asked for.

        Memory grows with `chunk` but not with the horizon, nor with T beyond the frames themselves.

        Args:
            frames: (B, T, C, H, W), as in `forward`.
            horizon: as in `forward`.
            chunk: frames that are read, and then forecast, at a time.

        Yields:
            (B, n, C, H, W), n = `chunk` but for the last piece.

        Raises:
            UsageError: with the first piece; as `forward`, or a chunk below 1.
        """
        horizon = self._check(frames, horizon)
        if chunk < 1:
            raise UsageError(f"chunk is {chunk}; forecast at least one frame at a time.")
        states = self._encode(frames[:, :chunk])
        for first in range(chunk, frames.shape[1], chunk):
            states = self._encode(frames[:, first : first + chunk], states)
        last = frames[:, -1:]  # (B, 1, C, H, W)
        for first in range(0, horizon, chunk):
            forecast, states = self._forecast(last, states, min(chunk, horizon - first))
            if self.config.forecaster == "autoregressive":
                last = forecast[:, -1:].clone()  # neither keeps the piece in memory nor sees what becomes of it
            yield forecast

    def _check(self, frames: Tensor, horizon: int | None) -> int:
        """The horizon. Raises UsageError for one below 1 and for frames that do not fit."""
        config = self.config
        horizon = config.horizon if horizon is None else horizon
        if horizon < 1:
            raise UsageError(f"--frames is {horizon}; forecast at least one frame.")
        if frames.ndim != 5 or frames.shape[1] < 1 or frames.shape[2] != config.channels:
            raise UsageError(f"frames have shape {tuple(frames.shape)}; expected (B, T >= 1, {config.channels}, H, W).")
        if frames.shape[-2] % config.patch_size or frames.shape[-1] % config.patch_size:
            raise UsageError(
                f"frames are {frames.shape[-2]}x{frames.shape[-1]}; "
                f"height and width must be multiples of --patch-size {config.patch_size}."
            )
        return horizon

    def _encode(self, frames: Tensor, states: list[State] | None = None) -> list[State]:
        """The first stack's last states; `states` are those after the frames before these."""
        x = self._to_patches(frames)  # (B, T, C*p*p, H/p, W/p)
        new_states: list[State] = []
        for index, layer in enumerate(self.encoder):
            x, state = layer(x, states[index] if states else None)
            new_states.append(state)
        return new_states

    def _forecast(self, last: Tensor, states: list[State], steps: int) -> tuple[Tensor, list[State]]:
        """The next frames (B, steps, C, H, W) and the second stack's states after them.

        `last` (B, 1, C, H, W) is the last frame seen, or the last forecast where that is fed back.
        """
        if self.config.forecaster == "unconditioned":
            patches, states = self._unroll(None, states, steps)
            return self._to_frames(patches, last), states
        forecast = []
        for _ in range(steps):
            patches, states = self._unroll(self._to_patches(last), states, None)
            last = self._to_frames(patches, last)
            forecast.append(last)
        return torch.cat(forecast, dim=1), states

    def _unroll(self, x: Tensor | None, states: list[State], steps: int | None) -> tuple[Tensor, list[State]]:
        """The second stack over `steps` steps, or over x: (B, T, C*p*p, H/p, W/p) and the new states."""
        hidden = []
        new_states = []
        for layer, state in zip(self.forecaster, states, strict=True):
            x, state = layer(x, state, steps=steps if x is None else None)
            hidden.append(x)
            new_states.append(state)
        joined = torch.cat(hidden, dim=2)  # (B, T, sum(hidden), H/p, W/p)
        patches = self.head(joined.flatten(0, 1))
        return patches.unflatten(0, joined.shape[:2]), new_states

    def _to_patches(self, frames: Tensor) -> Tensor:
        return F.pixel_unshuffle(frames, self.config.patch_size)

    def _to_frames(self, patches: Tensor, last: Tensor) -> Tensor:
        frames = F.pixel_shuffle(patches, self.config.patch_size)
        if self.config.head == "sigmoid":
            return torch.sigmoid(frames)
        frames = last + frames
        return frames if self.training else frames.clamp(0.0, 1.0)


def parameter_count(config: ForecasterConfig) -> int:
    """Number of trained values of a forecaster; allocates none of them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in EncoderForecaster(config).parameters())
