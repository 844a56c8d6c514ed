"""The compiled kernels, `gates.c` and `winograd.c`: built on first use, kept, and done without where they cannot be.

Nothing here is needed: an installation without a compiler computes the same with torch operations, more slowly
(`scripts/benchmark_speed.py` says by how much). CONVLSTM_KERNEL=off does without it anyway.
"""

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from convlstm_cli.files import cache_folder, replacing, sweep

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC")
KERNELS = {"gates": ("gates.c",), "gates-bfloat16": ("gates.c", "-DBFLOAT16"), "winograd": ("winograd.c",)}
"""Each with its source beside this file, and flags of its own."""


class NotAvailable(Exception):
    """Why there is no compiled kernel here, in a few words."""


class Step(ctypes.Structure):
    """`Step` of gates.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("batch", "hidden", "positions", "channels_last")),
        *((name, ctypes.c_int64) for name in ("peephole", "activation", "detach", "keep", "threads")),
        ("slope", ctypes.c_double),
        ("clip", ctypes.c_double),
    )


class Peepholes(ctypes.Structure):
    """`Peepholes` of gates.c."""

    _fields_ = tuple((name, ctypes.c_void_p) for name in "ifo")


class Sums(ctypes.Structure):
    """`Sums` of gates.c."""

    _fields_ = (("bias", ctypes.c_void_p), *((name, ctypes.c_void_p) for name in "ifo"))


class Shape(ctypes.Structure):
    """`Shape` of winograd.c."""

    _fields_ = tuple((name, ctypes.c_int64) for name in ("items", "height", "width", "in_", "out", "n", "threads"))


_POINTER = ctypes.c_void_p
_SIGNATURES: dict[str, tuple[Any, ...]] = {
    "convlstm_forward": (ctypes.POINTER(Step), *(_POINTER,) * 4, Peepholes),
    "convlstm_backward": (ctypes.POINTER(Step), *(_POINTER,) * 7, Peepholes, Sums),
    "winograd_panel": (),
    "winograd_scratch": (ctypes.POINTER(Shape),),
    "winograd_forward": (ctypes.POINTER(Shape), *(_POINTER,) * 3, ctypes.c_int64, *(_POINTER,) * 2),
    "winograd_weight_gradient": (ctypes.POINTER(Shape), *(_POINTER,) * 4),
}
_RESULTS = {"winograd_panel": ctypes.c_int64, "winograd_scratch": ctypes.c_int64}


@functools.cache
def load(name: str) -> ctypes.CDLL:
    """One of KERNELS, compiled if it was not before. Raises NotAvailable."""
    if os.environ.get("CONVLSTM_KERNEL") == "off":
        raise NotAvailable("switched off by CONVLSTM_KERNEL")
    if platform.system() != "Linux":
        raise NotAvailable(f"only on Linux so far, not {platform.system()}")
    # torch has loaded the OpenMP library that it was built with for everyone to see, so that the kernel, which is
    # linked with none, runs on torch's own threads. A second library would fight with them for the cores.
    if not hasattr(ctypes.CDLL(None), "GOMP_parallel"):
        raise NotAvailable("this build of torch does not use GNU OpenMP")
    compiler = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotAvailable("no C compiler found (gcc)")
    source, *own = KERNELS[name]
    command = [compiler, *FLAGS, *own, "-c", str(Path(__file__).with_name(source))]
    try:
        file = f"{name}-{_key(command)}.so"
        try:
            kernel = ctypes.CDLL(str(_build(command, cache_folder() / "kernels" / file)))
        except OSError:  # the cache cannot be written, or nothing may be run from it
            with tempfile.TemporaryDirectory(prefix="convlstm-") as folder:
                kernel = ctypes.CDLL(str(_build(command, Path(folder) / file)))
    except subprocess.TimeoutExpired:
        raise NotAvailable(f"{compiler} took too long") from None
    except OSError as error:
        raise NotAvailable(str(error)) from error
    for function, arguments in _SIGNATURES.items():
        if hasattr(kernel, function):
            getattr(kernel, function).argtypes = arguments
            getattr(kernel, function).restype = _RESULTS.get(function)
    return kernel


def _key(command: list[str]) -> str:
    """Changes with whatever the compiled code depends on; homes are shared by machines with other processors."""
    compiler, source = command[0], Path(command[-1])
    version = subprocess.run([compiler, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
    processor = [
        line
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
        if line.startswith(("flags", "Features", "model name"))
    ][:2]
    parts = (source.read_text(encoding="utf-8"), *command[:-1], version, *processor)
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def _build(command: list[str], library: Path) -> Path:
    """Compiles into `library`, unless it is there. Raises NotAvailable, or OSError where it cannot be written."""
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    sweep(library.parent)
    compiler = command[0]
    with tempfile.TemporaryDirectory() as scratch:
        compiled, linked = f"{scratch}/compiled.o", f"{scratch}/linked"
        # Linked without -fopenmp: what that would bring is there already.
        for step in ([*command, "-o", compiled], [compiler, "-shared", compiled, "-lm", "-o", linked]):
            done = subprocess.run(step, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                said = done.stderr.strip().splitlines() or ["it said nothing"]
                raise NotAvailable(f"{compiler} could not compile it: {said[0]}")
        # Whole or not there, also where several processes of one training compile at once.
        with replacing(library) as partial:
            shutil.copyfile(linked, partial)
            partial.chmod(0o700)
    return library
