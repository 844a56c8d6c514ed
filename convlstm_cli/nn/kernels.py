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
FLOAT32 = (WINOGRAD, GATES)
"""Those of forecasts, unless `--precision` asks for another."""
ALL = (*FLOAT32, GATES_BFLOAT16)
