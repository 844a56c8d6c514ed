"""The settings of a network, as a frozen dataclass that checks its values. Imports no torch."""

from dataclasses import dataclass
from typing import Any

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.kinds import FORECASTERS, GATE_ACTIVATION_KINDS, HEADS, PEEPHOLES, describe
from convlstm_cli.nn.kinds import Forecaster as Forecaster
from convlstm_cli.nn.kinds import GateActivation as GateActivation
from convlstm_cli.nn.kinds import Head as Head
from convlstm_cli.nn.kinds import Peephole as Peephole
from convlstm_cli.nn.kinds import PeepholeInit as PeepholeInit
from convlstm_cli.settings import MAX_SIDE, check_choice, check_most, check_types, option

MAX_LAYERS = 100
MAX_CHANNELS = 2**14
MAX_KERNEL = 101
MAX_DILATION = 100
MAX_BIAS = 1000.0
MAX_FRAMES = 10_000
"""Most input frames, and most forecast frames, of a training clip."""

REFINED_FEATURES = 8
"""Channels at each pixel that the hidden states give to a head's stage at full resolution."""
REFINED_WIDTH = 16
"""Channels between the two convolutions of that stage."""

LOOKBACKS = (1, 4)
"""Lead times of the hindcasts of the last frame by which the known frames are judged."""
NOISE_CARRIED = 2
"""Fields of noise that are moved on with the last frame (`noise.py`)."""
NOISE_GRID, NOISE_PIXELS = 8 + NOISE_CARRIED, 1 + NOISE_CARRIED
"""Fields of noise for the second stack, one value a position, and for a head's stage at full resolution."""
NOISE_LEADS = 20
"""Lead times that have an amplitude of noise of their own; later ones have that of the last."""


def parse_channels(flag: str, text: str) -> tuple[int, ...]:
    """`64,64` as (64, 64). Raises UsageError that names `flag`."""
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"{flag} is {text!r}; give the channels of each layer, such as 64,64.") from None


def check_odd(option: str, size: int) -> None:
    """Raises UsageError that names `option` unless `size` is a kernel size that has a centre."""
    if size < 1 or size % 2 == 0:
        raise UsageError(
            f"{option} is {size}; use an odd number such as 3 or 5: "
            "an even kernel has no centre, so every step would shift the state by half a pixel."
        )


@dataclass(frozen=True)
class ForecasterConfig:
    """An encoder-forecaster of ConvLSTM layers (Shi et al. 2015, section 3.2).

    Raises UsageError, naming the command-line option, for values that make no network.
    """

    height: int
    """Height of a frame in pixels, a multiple of `patch_size`."""
    width: int
    """Width of a frame in pixels, a multiple of `patch_size`."""
    channels: int
    """1 for grey frames, 3 for RGB."""
    hidden: tuple[int, ...] = option(
        (32, 32),
        "Hidden channels of each layer, with commas; the same in encoder and forecaster.",
        parse=parse_channels,
    )
    kernel_size: int = option(3, "Side of the input-to-state kernels; an odd number.")
    recurrent_kernel_size: int | None = option(
        None, "Side of the state-to-state kernels; an odd number, --kernel-size if not given."
    )
    dilation: int = option(
        1,
        "Distance between the positions that the input-to-state kernels read: 2 makes 3x3 weights span 5x5 positions.",
    )
    patch_size: int = option(
        4,
        "Side in pixels of the patches that become one position each, with patch_size² times the channels "
        "(space-to-depth).",
    )
    peephole: Peephole = option("channel", f"Kind of peepholes. {describe(PEEPHOLES)}")
    peephole_init: PeepholeInit = option(
        "zeros",
        "Initial peephole weights: zeros, so that training starts without peepholes, or uniform (Glorot), as in Keras.",
    )
    detach_peepholes: bool = option(
        False, "Send no gradient through the peepholes into the cell state (Gers et al. 2002)."
    )
    gate_activation: GateActivation = option(
        "sigmoid", f"Activation of the gates i, f and o. {describe(GATE_ACTIVATION_KINDS)}"
    )
    forget_bias: float = option(1.0, "Initial bias of the forget gate.")
    layer_norm: bool = option(
        False,
        "Normalise what the gates get from the input, and from the hidden state, over gates, channels and positions "
        "(Ba et al. 2016); the weights then fit this frame size only.",
    )
    dropout: float = option(
        0.0,
        "Rate at which training drops channels of what each layer gives to the next, the same for all frames.",
    )
    forecaster: Forecaster = option(
        "advected",
        f"Input of the first forecaster layer. {describe(FORECASTERS)}",
    )
    head: Head = option(
        "motions",
        f"What the 1x1 head gives. {describe(HEADS)}",
    )
    input_frames: int = option(10, "Frames of each training clip that the encoder reads.")
    horizon: int = option(
        10, "Frames of each training clip to forecast; a prediction may ask for more or fewer.", flag="--frames"
    )
    mask: bool = False
    """Whether the encoder reads a mask behind the channels of each frame: the share of them that have a value, 1 where
    no pixel is missing. Every training whose frames have missing pixels has it."""
    inputs: int = 0
    """Channels that the encoder reads behind those of a frame, before the mask, and that are not forecast."""
    known: int = 0
    """The last so many of these are known for the frames to forecast too, and the forecaster reads them."""
    noise: bool = False
    """Whether the second stack and the head read noise, so that the network forecasts members too."""

    def __post_init__(self) -> None:
        check_types(self)
        if not self.hidden or min(self.hidden) < 1:
            raise UsageError(
                f"--hidden is {self.hidden}; give at least one layer of at least one channel, such as 64,64."
            )
        check_most("the number of layers of --hidden", len(self.hidden), MAX_LAYERS)
        check_most("--hidden", max(self.hidden), MAX_CHANNELS)
        if self.channels < 1:
            raise UsageError(f"channels is {self.channels}; frames have at least one.")
        if not 0 <= self.known <= self.inputs:
            raise UsageError(f"known is {self.known} of {self.inputs} inputs; at most all of them are known.")
        check_most("the number of channels", self.read_channels, MAX_CHANNELS)
        if self.patch_size < 1:
            raise UsageError(f"--patch-size is {self.patch_size}; it must be at least 1.")
        for side, pixels in (("height", self.height), ("width", self.width)):
            if pixels < 1 or pixels % self.patch_size:
                below = max(pixels, self.patch_size) // self.patch_size * self.patch_size
                raise UsageError(
                    f"--size has {side} {pixels}, and the network takes patches of {self.patch_size} pixels "
                    f"(--patch-size); give {below} or {below + self.patch_size}."
                )
            check_most("--size", pixels, MAX_SIDE)
        check_odd("--kernel-size", self.kernel_size)
        check_odd("--recurrent-kernel-size", self.recurrent_kernel)
        check_most("--kernel-size", self.kernel_size, MAX_KERNEL)
        check_most("--recurrent-kernel-size", self.recurrent_kernel, MAX_KERNEL)
        self._check_dilation_and_dropout()
        check_choice("--peephole", self.peephole, Peephole)
        check_choice("--peephole-init", self.peephole_init, PeepholeInit)
        check_choice("--gate-activation", self.gate_activation, GateActivation)
        check_choice("--forecaster", self.forecaster, Forecaster)
        check_choice("--head", self.head, Head)
        if not abs(self.forget_bias) <= MAX_BIAS:
            raise UsageError(f"--forget-bias is {self.forget_bias}; give a number such as 1.")
        if self.input_frames < 1:
            raise UsageError(f"--input-frames is {self.input_frames}; the encoder must read at least one frame.")
        if self.horizon < 1:
            raise UsageError(f"--frames is {self.horizon}; forecast at least one frame.")
        check_most("--input-frames", self.input_frames, MAX_FRAMES)
        check_most("--frames", self.horizon, MAX_FRAMES)

    def _check_dilation_and_dropout(self) -> None:
        if self.dilation < 1:
            raise UsageError(f"--dilation is {self.dilation}; it must be at least 1, which spreads no kernel.")
        check_most("--dilation", self.dilation, MAX_DILATION)
        if self.dilation > 1 and self.kernel_size == 1:
            raise UsageError(
                f"--dilation is {self.dilation} and a kernel of --kernel-size 1 has nothing to spread; change one of "
                "the two."
            )
        if not 0 <= self.dropout < 1:
            raise UsageError(f"--dropout is {self.dropout}; give a rate from 0 to below 1, such as 0.1.")
        if self.dropout and len(self.hidden) == 1:
            raise UsageError(
                f"--dropout is {self.dropout} and acts between layers, and --hidden {self.hidden[0]} has one layer; "
                "leave --dropout out, or give --hidden more layers."
            )

    @property
    def recurrent_kernel(self) -> int:
        """Side of the state-to-state kernels."""
        return self.kernel_size if self.recurrent_kernel_size is None else self.recurrent_kernel_size

    @property
    def clip_frames(self) -> int:
        """Frames of one training clip: `input_frames` + `horizon`."""
        return self.input_frames + self.horizon

    @property
    def patch_channels(self) -> int:
        """Channels of a frame after space-to-depth."""
        return self.channels * self.patch_size**2

    @property
    def read_channels(self) -> int:
        """Channels that the encoder reads at each pixel: those of a frame, further inputs, and the mask if any."""
        return self.channels + self.inputs + self.mask

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of the hidden states, in positions."""
        return self.height // self.patch_size, self.width // self.patch_size

    @property
    def fixes_size(self) -> bool:
        """Whether the weights fit frames of `height` x `width` only."""
        return PEEPHOLES[self.peephole].fixes_size or self.layer_norm

    @property
    def between_layers(self) -> int:
        """Channels that the layers of both stacks give to the next ones: those that dropout may drop."""
        return 2 * sum(self.hidden[:-1])

    @property
    def known_frames(self) -> tuple[str, ...]:
        """Frames that the head may mix.

        Where the forecaster moves the last one on, that along each motion, where the head splats it, that too, the
        first one blurred, and the last one.
        """
        moved = tuple(f"moved {motion}" for motion in self.motions)
        splatted = tuple(f"splatted {motion}" for motion in self.motions) if HEADS[self.head].splats else ()
        return (*moved, *splatted, "blurred", "last") if moved else ("last",)

    @property
    def judged_by(self) -> tuple[str, ...]:
        """The known frame whose past errors say how right each known frame is: of splatted ones the moved one.

        A thing that goes on with its own motion was, some steps before, where the moved frame reads it.
        """
        return tuple(name.replace("splatted", "moved") for name in self.known_frames)

    @property
    def past_frames(self) -> tuple[str, ...]:
        """The known frames whose errors in the past are found."""
        return tuple(dict.fromkeys(self.judged_by))

    @property
    def past_channels(self) -> int:
        """Channels that say how right known frames were before, at each of `LOOKBACKS`; 0 where none is asked."""
        return len(LOOKBACKS) * len(self.past_frames) if self.motions and HEADS[self.head].judges else 0

    def lookbacks(self, frames: int) -> tuple[int, ...]:
        """How many frames before the last of an input the motions are found: 0, and each of `LOOKBACKS` if asked for.

        An input that is shorter is looked back on as far as it goes.
        """
        return (0, *(min(lookback, frames - 1) for lookback in LOOKBACKS)) if self.past_channels else (0,)

    @property
    def motions(self) -> tuple[str, ...]:
        """Names of the motions along which the last frame is moved on; none where it is not."""
        return HEADS[self.head].motions if FORECASTERS[self.forecaster].moves else ()

    @property
    def head_channels(self) -> int:
        """Channels that the head computes: a new frame and, in a mix, weights of the known frames; or features."""
        head = HEADS[self.head]
        if head.refines:
            return REFINED_FEATURES * self.patch_size**2
        return self.patch_channels + (len(self.known_frames) * self.patch_size**2 if head.mixes else 0)

    def layers(self) -> list[dict[str, Any]]:
        """Role, index, in_channels and hidden_channels of each `ConvLSTM`, encoder first."""
        fed = self.channels * FORECASTERS[self.forecaster].reads + self.known
        first = {
            "encoder": self.read_channels * self.patch_size**2,
            "forecaster": fed * self.patch_size**2 + NOISE_GRID * self.noise,
        }
        return [
            {"role": role, "index": index, "in_channels": fan_in, "hidden_channels": hidden}
            for role in ("encoder", "forecaster")
            for index, (fan_in, hidden) in enumerate(zip((first[role], *self.hidden), self.hidden, strict=False))
        ]
