"""The encoder-forecaster: reads frames and forecasts the next ones (Shi et al. 2015, section 3.2)."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.autocast import autocast
from convlstm_cli.nn.calls import check_type
from convlstm_cli.nn.config import NOISE_LEADS, ForecasterConfig
from convlstm_cli.nn.dropout import draw_channels
from convlstm_cli.nn.forecast_state import Factors, ForecastState
from convlstm_cli.nn.head import Head
from convlstm_cli.nn.kinds import FORECASTERS, HEADS
from convlstm_cli.nn.layer import ConvLSTM
from convlstm_cli.nn.motion import Advection, estimate_motions, past_errors
from convlstm_cli.nn.noise import Fields, Noise, View
from convlstm_cli.nn.stepwise import State
from convlstm_cli.nn.unrolling import BLUR, NOTHING_GIVEN, UNROLLINGS, FutureInputs

LEAST_ERROR = 4e-3
"""Added to errors of the past, about one step of 8 bits: smaller ones say nothing."""


class EncoderForecaster(nn.Module):
    """Stacked ConvLSTM layers read the input frames; their last states start a second stack that forecasts.

    `config.forecaster` says what the second stack reads: nothing (`unconditioned`, the paper), its own last forecast
    (`autoregressive`), or for each lead time the last frame moved on along its motion (`advected`, see `motion/`).
    `head.py` turns its hidden states into frames.

    The encoder may read more than the channels that are forecast: `config.inputs` channels behind them, of which the
    second stack reads the last `config.known` at each lead time too; and with `config.mask`, as the last channel, which
    pixels have a value. Where the mask is left out all pixels are known. The second stack reads no mask: what stands in
    for missing pixels of the last frame is moved on, or fed back, as if it had been seen.

    With `config.dropout` the training drops channels of the hidden states on their way to the next layer, in both
    stacks: whole channels, the same at all steps of a clip. Frames, states that are carried over in time and what the
    head reads are never dropped: a forecast continues them, and the recurrence stays the fast one.

    With `config.noise` the second stack and the head read random fields too (`noise.py`), so that the network has many
    forecasts of a clip, its members; without any given it has one, as other networks have. The buffer `noise_scale`,
    (NOISE_LEADS,), is the amplitude of the noise by lead time in evaluation mode, with which the spread of members is
    calibrated; in training mode it is 1.
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
                    dilation=config.dilation,
                    layer_norm=config.layer_norm,
                    forget_bias=config.forget_bias,
                    gate_activation=config.gate_activation,
                    peephole_init=config.peephole_init,
                    detach_peepholes=config.detach_peepholes,
                )
            )
        self.encoder = stacks["encoder"]
        self.forecaster = stacks["forecaster"]
        self.head = Head(config)
        self.noise_scale: Tensor
        if config.noise:
            self.register_buffer("noise_scale", torch.ones(NOISE_LEADS))

    def named_layers(self) -> dict[str, ConvLSTM]:
        """All ConvLSTM layers, as `encoder 0`, `encoder 1`, ..., `forecaster 0`, ..."""
        layers = {}
        for role, stack in (("encoder", self.encoder), ("forecaster", self.forecaster)):
            for index, layer in enumerate(stack):
                assert isinstance(layer, ConvLSTM)
                layers[f"{role} {index}"] = layer
        return layers

    def checkpoint_every(self, steps: int | None) -> None:
        """Sets `checkpoint_every` of all layers; see `ConvLSTM`."""
        for layer in self.named_layers().values():
            layer.checkpoint_every = steps

    def forward(
        self,
        frames: Tensor,
        horizon: int | None = None,
        *,
        future: Tensor | None = None,
        truth: Tensor | None = None,
        teacher_forced: Tensor | None = None,
        dropout: Tensor | None = None,
        noise: Noise | None = None,
    ) -> Tensor:
        """Forecasts the frames that follow.

        Args:
            frames: (B, T, C, H, W), values in [0, 1], any T >= 1, with the channels that are forecast first, then
                further inputs, then the mask, which may be left out.
            horizon: number of frames to forecast; None takes the configured one.
            future: (B, horizon, known, H, W), the inputs that are known for the frames to forecast, where there are.
            truth: (B, horizon, C, H, W), the frames that follow, for scheduled sampling (Bengio et al. 2015).
            teacher_forced: (B, horizon) bool, true where an autoregressive forecaster reads the frame of `truth` and
                not its own; None reads its own everywhere.
            dropout: (B, config.between_layers), the factors of `nn.dropout.draw_channels`, encoder first; it acts in
                evaluation mode too. None draws new ones in training mode.
            noise: that of members, for a network that reads noise.

        Returns:
            (B, horizon, C, H, W), or (M, B, horizon, C, H, W) for M members. In evaluation mode values lie in [0, 1];
            in training mode a residual forecast may lie outside, so that its gradient does not vanish there.

        Raises:
            UsageError: frames that the configuration's channels, patch size or `full` peepholes do not fit, a horizon
                below 1, a future that is missing or of another shape, or noise for a network that reads none.
        """
        horizon = self._check(frames, horizon, future, noise)
        if dropout is None and self.training and self.config.dropout:
            dropout = draw_channels(self.config.dropout, frames.shape[0], self.config.between_layers)
        encoder, forecaster = self._factors(dropout, frames.device)
        current = self._begin(frames, self._encode(frames, factors=encoder))._replace(factors=forecaster)
        given = FutureInputs(future, truth, teacher_forced)
        if noise is None:
            return self._forecast(current, horizon, given)[0]
        current = current.repeated(noise, self.config.patch_size)
        forecast, _ = self._forecast(current, horizon, given.repeated(noise.members))
        return forecast.view(noise.members, len(frames), *forecast.shape[1:])

    def members(
        self, frames: Tensor, horizon: int | None = None, seeds: Sequence[int] = (0,), *, future: Tensor | None = None
    ) -> Tensor:
        """Members of the forecast, (M, B, horizon, C, H, W), one for each seed; else as `forward`.

        A seed gives the same member whatever the other seeds are, but for rounding.
        """
        members: Tensor = self(frames, horizon, future=future, noise=Noise.of(seeds))
        return members

    def stream(
        self,
        frames: Tensor,
        horizon: int | None = None,
        *,
        chunk: int,
        advection: Advection | None = None,
        future: Tensor | None = None,
        seeds: Sequence[int] = (),
        view: View | None = None,
    ) -> Iterator[Tensor]:
        """The forecast of `forward` in evaluation mode in pieces, each computed when the caller asks for it.

        Memory grows with `chunk` but not with the horizon, nor with T beyond the frames themselves.

        Args:
            frames: (B, T, C, H, W), as in `forward`.
            horizon: as in `forward`.
            chunk: frames that are read, and then forecast, at a time.
            advection: for an advected forecaster, that of larger frames of which these are a window, so that things
                can move in from outside. None takes that of the frames themselves.
            future: as in `forward`.
            seeds: of the members, for a network that reads noise; they share what is read, and each takes its own
                memory. None is the forecast without noise.
            view: the window of a larger frame that these frames are, by which members have the noise of that.

        Yields:
            (B, n, C, H, W), n = `chunk`, or less in the last piece; with seeds (M B, n, C, H, W), the rows of all clips
            for the first member first.

        Raises:
            UsageError: with the first piece, as `forward` does, or for a chunk below 1.
        """
        noise = Noise.of(seeds, view) if seeds else None
        horizon = self._check(frames, horizon, future, noise)
        if chunk < 1:
            raise UsageError(f"chunk is {chunk}; forecast at least one frame at a time.")
        states = self._encode(frames[:, :chunk])
        for first in range(chunk, frames.shape[1], chunk):
            states = self._encode(frames[:, first : first + chunk], states)
        last = self.target_channels(frames[:, -1:]).clone()  # a view would keep all frames
        current = self._begin(frames, states) if advection is None else ForecastState(states, last, advection)
        current = current._replace(last=last)
        given = FutureInputs(known=future)
        if noise is not None:
            current, given = current.repeated(noise, self.config.patch_size), given.repeated(noise.members)
        del frames, states, advection, future
        for first in range(0, horizon, chunk):
            forecast, current = self._forecast(current, min(chunk, horizon - first), given.at(first, chunk))
            yield forecast

    def start(self, frames: Tensor, motions: Sequence[Tensor] | None = None) -> tuple[Tensor, ...]:
        """The state before the first of the frames of `forward` is read: tensors as in `state_names`, h and c zero.

        `motions` holds those from each of `config.lookbacks`, (B, 2 K, H, W) each, where the caller knows them already.

        `start`, `read` for each frame and `step` for each lead time together compute what `forward` does, one time step
        a call, with nothing but tensors in between.
        """
        height, width = frames.shape[-2] // self.config.patch_size, frames.shape[-1] // self.config.patch_size
        zeros = [frames.new_zeros(frames.shape[0], hidden, height, width) for hidden in self.config.hidden]
        states = [(h, h.clone()) for h in zeros]
        if motions is None:
            return self._begin(frames, states).flat()
        shown = self.target_channels(frames)
        return ForecastState(states, shown[:, -1:], self._advected(shown, motions)).flat()

    def read(self, frame: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """The state after the encoder has read one more frame, (B, C, H, W) or with the mask (B, C + 1, H, W)."""
        current = self._unflat(state)
        return current._replace(states=self._encode(frame[:, None], current.states)).flat()

    def step(self, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The next frame (B, C, H, W), and the state after it."""
        forecast, current = self._forecast(self._unflat(state), 1)
        return forecast[:, 0], current.flat()

    @property
    def is_calibrated(self) -> bool:
        """Whether the amplitude of its noise was fitted, so that its members are spread right where they were."""
        return self.config.noise and not bool((self.noise_scale == 1.0).all())

    @property
    def state_names(self) -> tuple[str, ...]:
        """Names of the tensors of a state.

        h and c of each layer, (B, hidden, H/p, W/p); the last frame, (B, C, H, W); and where the forecaster moves that
        on, its K motions in pixels a step and the displacements at which it is read now, (B, 2 K, H, W) each, what is
        known of how right they were before, (B, config.past_channels, H, W), and where it is splatted too, the number
        of steps that were made, (B, 1, 1, 1).
        """
        moving = self._moving if self.config.motions else ()
        layers = [f"{part}_{index}" for index in range(len(self.config.hidden)) for part in "hc"]
        return (*layers, "last", *moving)

    @property
    def _moving(self) -> tuple[str, ...]:
        """Names of the tensors of an advection."""
        return ("motion", "source", *("past",) * (self.config.past_channels > 0), *("lead",) * self._is_splatted)

    def _unflat(self, state: tuple[Tensor, ...]) -> ForecastState:
        count = 2 * len(self.config.hidden)
        states = list(zip(state[:count:2], state[1:count:2], strict=True))
        last, moving = state[count], state[count + 1 :]
        if not moving:
            return ForecastState(states, last[:, None])
        found = dict(zip(self._moving, moving, strict=True))
        advection = Advection(
            last, found["motion"], found["source"], found.get("past"), is_cubic=self._is_cubic, lead=found.get("lead")
        )
        return ForecastState(states, last[:, None], advection)

    def _check(self, frames: Tensor, horizon: int | None, future: Tensor | None, noise: Noise | None = None) -> int:
        """The horizon. Raises UsageError for one below 1, and for frames, a future or noise that do not fit."""
        config = self.config
        if noise is not None and not config.noise:
            raise UsageError("the network reads no noise, so that it has one forecast; train one with --members 2.")
        horizon = config.horizon if horizon is None else horizon
        if isinstance(horizon, float | str):  # and not all that is no int, since torch.export gives integers of its own
            raise UsageError(f"horizon is {horizon!r}; give a whole number.")
        if horizon < 1:
            raise UsageError(f"--frames is {horizon}; forecast at least one frame.")
        least = config.channels + config.inputs
        if frames.ndim != 5 or frames.shape[1] < 1 or frames.shape[2] not in {least, config.read_channels}:
            raise UsageError(f"frames have shape {tuple(frames.shape)}; expected (B, T >= 1, {least}, H, W).")
        check_type("frames", frames, next(self.encoder.parameters()))
        if frames.shape[-2] % config.patch_size or frames.shape[-1] % config.patch_size:
            raise UsageError(
                f"frames are {frames.shape[-2]}x{frames.shape[-1]}; "
                f"height and width must be multiples of --patch-size {config.patch_size}."
            )
        wanted = (frames.shape[0], horizon, config.known, *frames.shape[3:]) if config.known else None
        if (None if future is None else tuple(future.shape)) != wanted:
            given = "is not given" if future is None else f"has shape {tuple(future.shape)}"
            raise UsageError(f"the future {given}; expected {wanted}.")
        return horizon

    def _factors(self, dropout: Tensor | None, device: torch.device) -> tuple[Factors, Factors]:
        """The factors of `forward` for the encoder and for the second stack."""
        if dropout is None:
            return (), ()
        below = self.config.hidden[:-1]
        factors = torch.split(dropout.to(device)[:, None, :, None, None], [*below, *below], dim=2)
        return factors[: len(below)], factors[len(below) :]

    def _encode(self, frames: Tensor, states: list[State] | None = None, factors: Factors = ()) -> list[State]:
        """The first stack's last states; `states` are those after the frames before these."""
        x = self.to_patches(self._masked(frames))  # (B, T, C*p*p, H/p, W/p), C with the mask
        new_states: list[State] = []
        for index, layer in enumerate(self.encoder):
            x, state = layer(_dropped(x, factors, index - 1), states[index] if states else None)
            new_states.append(state)
        return new_states

    def target_channels(self, frames: Tensor) -> Tensor:
        """The channels of frames that are forecast."""
        channels = self.config.channels
        return frames if frames.shape[2] == channels else frames[:, :, :channels]

    def known_future(self, frames: Tensor) -> Tensor | None:
        """The inputs that are known for the frames to forecast, out of all channels; None where there are none."""
        stop = self.config.channels + self.config.inputs
        return frames[:, :, stop - self.config.known : stop] if self.config.known else None

    def _masked(self, frames: Tensor) -> Tensor:
        """Frames as the encoder reads them: with a mask that says so where all pixels are known."""
        if frames.shape[2] == self.config.read_channels:
            return frames
        return torch.cat((frames, torch.ones_like(frames[:, :, :1])), dim=2)

    def _begin(self, frames: Tensor, states: list[State]) -> ForecastState:
        """What the first forecast is computed from: the encoder's states, the last frame and, if used, its motion."""
        frames = self.target_channels(frames)
        if not FORECASTERS[self.config.forecaster].moves:
            return ForecastState(states, frames[:, -1:])
        with autocast(frames.device, None):  # bf16 cannot resolve small motions
            return ForecastState(states, frames[:, -1:], self.advection(frames))

    def advection(self, frames: Tensor) -> Advection:
        """How the last of the frames (B, T, C, H, W) is moved on, with what is known of how right that was before."""
        # Nothing is learned of the motion: one that followed a loss could stop being one.
        lookbacks = self.config.lookbacks(frames.shape[1])
        return self._advected(frames, estimate_motions(frames.detach(), self.config.motions, lookbacks))

    @property
    def _is_cubic(self) -> bool:
        return HEADS[self.config.head].judges

    @property
    def _is_splatted(self) -> bool:
        return HEADS[self.config.head].splats

    def _advected(self, frames: Tensor, motions: Sequence[Tensor]) -> Advection:
        """An advection along the first of the motions, with the errors of the past of each known frame if asked for.

        They are logarithms: a weight that falls with a power of the error is linear in them before the softmax.
        """
        # A copy, since a view would keep all frames.
        last = frames[:, -1].clone()
        advection = Advection.starting(last, motions[0], is_cubic=self._is_cubic, is_splatted=self._is_splatted)
        _, *lookbacks = self.config.lookbacks(frames.shape[1])
        if not lookbacks:
            return advection
        pairs = zip(motions[1:], lookbacks, strict=True)
        errors = [past_errors(frames, motion, lookback, BLUR) for motion, lookback in pairs]
        return advection.carrying(torch.cat(errors, dim=1).add(LEAST_ERROR).log())

    def _forecast(
        self, current: ForecastState, steps: int, given: FutureInputs = NOTHING_GIVEN
    ) -> tuple[Tensor, ForecastState]:
        """The next frames (B, steps, C, H, W), and what those after them start from."""
        return UNROLLINGS[self.config.forecaster](self, current, steps, given)

    def unroll(
        self, x: Tensor | None, states: list[State], steps: int | None, factors: Factors = ()
    ) -> tuple[Tensor, list[State]]:
        """The second stack over `steps` steps, or over x: (B, T, sum(hidden), H/p, W/p) and the new states."""
        hidden: list[Tensor] = []
        new_states: list[State] = []
        for index, (layer, state) in enumerate(zip(self.forecaster, states, strict=True)):
            below = _dropped(hidden[-1], factors, index - 1) if hidden else x
            outputs, last = layer(below, state, steps=steps if below is None else None)
            hidden.append(outputs)
            new_states.append(last)
        return torch.cat(hidden, dim=2), new_states

    def noise_fields(self, current: ForecastState, frames: Tensor, carried: Tensor | None = None) -> Fields | None:
        """The noise at the next lead times for a network that reads any, of zeros where none is given.

        `frames` are (B, T, C, H, W), one for each of these lead times; `carried` is what the carried fields have become
        there, (B, T, NOISE_CARRIED, H, W), and None where they stay in place.
        """
        if not self.config.noise:
            return None
        if current.noise is None or current.carried is None:
            return Fields.none(frames, self.config.patch_size)
        if carried is None:
            carried = current.carried[:, None].expand(-1, frames.shape[1], -1, -1, -1)
        return current.noise.fields(carried, self.config.patch_size, None if self.training else self.noise_scale)

    def to_patches(self, frames: Tensor) -> Tensor:
        """Frames (..., C, H, W) as (..., C*p*p, H/p, W/p)."""
        return F.pixel_unshuffle(frames, self.config.patch_size)


def _dropped(x: Tensor, factors: Factors, layer: int) -> Tensor:
    """What a layer, by its index, gives to the next."""
    return x * factors[layer].to(x.dtype) if factors and layer >= 0 else x


def parameter_count(config: ForecasterConfig) -> int:
    """Number of trained values of a forecaster; allocates none of them."""
    with torch.device("meta"):
        return sum(parameter.numel() for parameter in EncoderForecaster(config).parameters())
