"""The named choices that make a network: kinds of peepholes, gate activations, forecasters and heads.

Each kind of choice has one Literal type, which type checkers and the command line read, and one table right below it,
which all other code reads. `registry` fails at import where the two differ. What needs torch is a table of functions
beside the equations (`activations.py`, `unrolling.py`), checked by `registry` too. This file imports no torch.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

Entry = TypeVar("Entry")


def registry(names: object, entries: Mapping[str, Entry]) -> dict[str, Entry]:
    """`entries` as a table. Raises TypeError unless its keys are the names of the Literal type `names`, in order."""
    expected = get_args(names)
    if tuple(entries) != expected:
        raise TypeError(f"the table has entries for {tuple(entries)}, and the type has the names {expected}.")
    return dict(entries)


# Peepholes


@dataclass(frozen=True)
class PeepholeKind:
    """How many weights each of the peepholes W_ci, W_cf and W_co has."""

    text: str
    """For --help."""
    shape: Callable[[int, tuple[int, ...]], tuple[int, ...]] | None
    """From hidden channels and (H, W), or as many sides as there are dimensions, to the shape of one peephole, which
    broadcasts over (B, hidden, H, W); None where there are no peepholes."""
    fixes_size: bool = False
    """Whether the weights fit one image size only."""


Peephole = Literal["none", "channel", "full"]
PEEPHOLES = registry(
    Peephole,
    {
        "none": PeepholeKind("no peepholes", None),
        "channel": PeepholeKind("one weight per channel", lambda hidden, size: (hidden, *(1,) * len(size))),
        "full": PeepholeKind(
            "one weight per channel and position", lambda hidden, size: (hidden, *size), fixes_size=True
        ),
    },
)

PeepholeInit = Literal["zeros", "uniform"]

# Activations of the gates i, f and o


@dataclass(frozen=True)
class GateActivationKind:
    """σ of the gates; the function itself stands in `activations.GATE_ACTIVATIONS`."""

    text: str
    """For --help."""
    slope: float | None
    """Derivative of a hard sigmoid between its kinks; None for the logistic function, whose derivative is s (1 - s)."""


GateActivation = Literal["sigmoid", "hard_sigmoid_keras3", "hard_sigmoid_keras2"]
GATE_ACTIVATION_KINDS = registry(
    GateActivation,
    {
        "sigmoid": GateActivationKind("1 / (1 + exp(-x))", None),
        # The slope is 1/6 in float32, which torch's own gradient takes for every type.
        "hard_sigmoid_keras3": GateActivationKind("x/6 + 0.5, clipped", 0.1666666716337204),
        "hard_sigmoid_keras2": GateActivationKind("0.2x + 0.5, clipped", 0.2),
    },
)

# Forecasters


@dataclass(frozen=True)
class ForecasterKind:
    """What the second stack reads; how it unrolls stands in `unrolling.UNROLLINGS`."""

    text: str
    """For --help."""
    reads: bool
    """Whether its first layer has an input."""
    moves: bool = False
    """Whether the last frame is moved on along its motion, for the second stack and the head."""


Forecaster = Literal["advected", "unconditioned", "autoregressive"]
FORECASTERS = registry(
    Forecaster,
    {
        "advected": ForecasterKind("the last frame moved on along its motion", reads=True, moves=True),
        "unconditioned": ForecasterKind("nothing (the paper)", reads=False),
        "autoregressive": ForecasterKind("the last predicted frame", reads=True),
    },
)

# Motions of the last frame


@dataclass(frozen=True)
class MotionKind:
    """A motion of the last frame; how it is searched for stands in `motion.SEARCHES`."""

    text: str
    """What it is found from, and what it is good for."""


Motion = Literal["medium", "coarse", "fine", "latest"]
MOTIONS = registry(
    Motion,
    {
        "medium": MotionKind("that of four frames, in a window between those of the coarse and the fine one"),
        "coarse": MotionKind("that of eight frames, in a wide window, for what moves steadily, such as rain"),
        "fine": MotionKind("that of four frames, in a narrow window, for small things that pass each other"),
        "latest": MotionKind("that of two frames, for what has just changed its way"),
    },
)

# Heads


@dataclass(frozen=True)
class HeadKind:
    """How hidden states become frames; the formulas are in `head.py`."""

    text: str
    """For --help."""
    mixes: bool = False
    """Whether the frame is a mix of known frames and a new one."""
    refines: bool = False
    """Whether the weights of the mix come from a stage at full resolution (`refinement.py`)."""
    steers: bool = False
    """Whether that stage also shifts the frame that was moved on."""
    motions: tuple[Motion, ...] = ("medium",)
    """The motions along which the last frame is moved on; the second stack reads what the first gives."""
    judges: bool = False
    """Whether the known frames are weighed by how they would have forecast the last frame; they are then read by
    cubic convolution, else bilinearly."""
    splats: bool = False
    """Whether the last frame is splatted along each motion too."""


Head = Literal["mix", "refined", "motions", "residual", "sigmoid"]
HEADS = registry(
    Head,
    {
        "mix": HeadKind("a mix of the last frame, that frame moved on (sharp and blurred) and a new one", mixes=True),
        "refined": HeadKind("the same, weighed at full resolution", mixes=True, refines=True),
        "motions": HeadKind(
            "the same, with the last frame moved on and splatted along three motions, with a learned shift, weighed by "
            "how right they were before",
            mixes=True,
            refines=True,
            steers=True,
            motions=("coarse", "fine", "latest"),
            judges=True,
            splats=True,
        ),
        "residual": HeadKind("a change to add to the last frame (moved on, where that is the input)"),
        "sigmoid": HeadKind("the frame through σ (the paper)"),
    },
)


def describe(kinds: Mapping[str, PeepholeKind | GateActivationKind | ForecasterKind | HeadKind]) -> str:
    """The entries of a table in one sentence, for --help."""
    return "; ".join(f"{name}: {kind.text}" for name, kind in kinds.items()) + "."
