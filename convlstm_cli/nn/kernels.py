"""The compiled kernels of this package: their C files, and how their functions are called. Imports no torch.

So a command can have them compiled while it imports torch; see `c_kernels.compile_ahead`.
"""

import ctypes
from pathlib import Path
from typing import Any

from convlstm_cli.nn.c_kernels import Source

_POINTER = ctypes.c_void_p


class Shape(ctypes.Structure):
    """`Shape` of winograd.c."""

    _fields_ = tuple(
        (name, ctypes.c_int64) for name in ("items", "height", "width", "in_", "out", "n", "threads", "beside")
    )


class Step(ctypes.Structure):
    """`Step` of gates.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "hidden", "positions", "channels_last")),
        *((name, ctypes.c_int64) for name in ("peephole", "hard", "detach", "keep", "threads")),
        ("slope", ctypes.c_double),
        ("clip", ctypes.c_double),
    )


class Level(ctypes.Structure):
    """`Level` of motion.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("clips", "frames", "height", "width")),
        *((name, ctypes.c_int64) for name in ("iterations", "window", "smoothing", "threads")),
        *((name, ctypes.c_double) for name in ("damping", "unexplained", "least_trust", "structure", "contrast")),
    )


class Advance(ctypes.Structure):
    """`Advance` of motion.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("clips", "motions", "channels", "beside", "height", "width")),
        *((name, ctypes.c_int64) for name in ("rows", "columns", "top", "left", "unseen", "steps")),
        *((name, ctypes.c_int64) for name in ("cubic", "splat", "threads")),
        ("around", ctypes.c_double),
        ("filled", ctypes.c_double),
    )


class PeepholePointers(ctypes.Structure):
    """`Peepholes` of gates.c."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in "ifo")


class SumPointers(ctypes.Structure):
    """`Sums` of gates.c."""

    _fields_ = (("bias", ctypes.c_void_p), *((name, ctypes.c_void_p) for name in "ifo"))


WINOGRAD = Source(
    "winograd",
    Path(__file__).with_name("winograd.c"),
    {
        "winograd_panel": (),
        "winograd_scratch": (ctypes.POINTER(Shape),),
        "winograd_forward": (ctypes.POINTER(Shape), *(_POINTER,) * 4, ctypes.c_int64, *(_POINTER,) * 2),
        "winograd_weight_gradient": (ctypes.POINTER(Shape), *(_POINTER,) * 5),
    },
    results={"winograd_panel": ctypes.c_int64, "winograd_scratch": ctypes.c_int64},
)
_FUNCTIONS: dict[str, tuple[Any, ...]] = {
    "convlstm_forward": (ctypes.POINTER(Step), *(_POINTER,) * 4, PeepholePointers),
    "convlstm_backward": (ctypes.POINTER(Step), *(_POINTER,) * 7, PeepholePointers, SumPointers),
}
_FILE = Path(__file__).parent / "gates" / "gates.c"
GATES = Source("gates", _FILE, _FUNCTIONS)
GATES_BFLOAT16 = Source("gates-bfloat16", _FILE, _FUNCTIONS, flags=("-DBFLOAT16",))
MOTION = Source(
    "motion",
    Path(__file__).parent / "motion" / "motion.c",
    {
        "motion_scratch": (ctypes.POINTER(Level),),
        "motion_improve": (ctypes.POINTER(Level), *(_POINTER,) * 5),
        "motion_advance": (ctypes.POINTER(Advance), *(_POINTER,) * 8),
    },
    results={"motion_scratch": ctypes.c_int64},
)
FLOAT32 = (MOTION, WINOGRAD, GATES)
"""Those of forecasts, unless `--precision` asks for another."""
ALL = (*FLOAT32, GATES_BFLOAT16)
