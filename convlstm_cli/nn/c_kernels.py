"""Compiles C kernels at their first use, or ahead of it, keeps them in the cache folder, and loads them.

No kernel is needed: an installation without a C compiler computes the same with torch operations, more slowly
(`scripts/benchmark_speed.py` measures by how much). The environment variable CONVLSTM_KERNEL=off switches them off.
"""

import contextlib
import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from convlstm_cli.errors import OutputError
from convlstm_cli.files import replacing, sweep
from convlstm_cli.lock import taking_turns
from convlstm_cli.paths import cache_folder

FLAGS = ("-std=gnu11", "-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fopenmp", "-fPIC")


@dataclass(frozen=True, eq=False)
class Source:
    """A C file and how its functions are called."""

    name: str
    """Name of the library in the cache; a file compiled with other flags has another name."""
    file: Path
    functions: Mapping[str, tuple[Any, ...]]
    """The ctypes of the arguments of each function."""
    results: Mapping[str, Any] = field(default_factory=dict)
    """The ctypes of results; a function without an entry returns nothing."""
    flags: tuple[str, ...] = ()


class NotAvailable(Exception):
    """Says in a few words why there is no compiled kernel here."""


@functools.cache
def load(source: Source) -> ctypes.CDLL:
    """The compiled kernel. Raises NotAvailable."""
    command = _command(source)
    # The kernel is linked with no OpenMP library and uses the one that torch has loaded, with torch's own threads. A
    # second library would compete with them for the cores.
    if not hasattr(ctypes.CDLL(None), "GOMP_parallel"):
        raise NotAvailable("this build of torch does not use GNU OpenMP")
    try:
        try:
            with _building(source):
                kernel = ctypes.CDLL(str(_build(command, _library(source, command))))
        except (OSError, OutputError):  # the cache cannot be written, or nothing may be run from it
            with tempfile.TemporaryDirectory(prefix="convlstm-") as folder:
                kernel = ctypes.CDLL(str(_build(command, Path(folder) / "kernel.so")))
    except subprocess.TimeoutExpired:
        raise NotAvailable(f"{command[0]} took too long") from None
    except (OSError, OutputError) as error:
        raise NotAvailable(str(error)) from error
    for function, arguments in source.functions.items():
        getattr(kernel, function).argtypes = arguments
        getattr(kernel, function).restype = source.results.get(function)
    return kernel


def compile_ahead(sources: Iterable[Source]) -> None:
    """Begins to compile what the cache lacks, in threads, and returns; `load` waits for them.

    A command calls it before it imports torch, which takes about as long. An error is that of `load`.
    """
    for source in sources:
        with contextlib.suppress(NotAvailable, OSError):
            command = _command(source)
            library = _library(source, command)
            if not library.exists():
                work = threading.Thread(target=_compile, args=(_building(source), command, library), daemon=True)
                work.start()


def _compile(building: threading.Lock, command: list[str], library: Path) -> None:
    with building, contextlib.suppress(NotAvailable, OSError, OutputError, subprocess.TimeoutExpired):
        _build(command, library)


@functools.cache
def _building(_source: Source) -> threading.Lock:
    """Held by the thread that compiles."""
    return threading.Lock()


def _command(source: Source) -> list[str]:
    """What compiles a source, without its output. Raises NotAvailable."""
    if os.environ.get("CONVLSTM_KERNEL") == "off":
        raise NotAvailable("switched off by CONVLSTM_KERNEL")
    if platform.system() != "Linux":
        raise NotAvailable(f"only on Linux so far, not {platform.system()}")
    compiler = shutil.which(os.environ.get("CC", "gcc")) or shutil.which("gcc") or shutil.which("cc")
    if compiler is None:
        raise NotAvailable("no C compiler found (gcc)")
    return [compiler, *FLAGS, *source.flags, "-c", str(source.file)]


def _library(source: Source, command: list[str]) -> Path:
    """The compiled kernel in the cache, whose name has a hash of all that the compiled code depends on.

    The compiler is known by its file, since starting it to ask for its version takes longer. Machines with different
    processors may share a home folder.
    """
    compiler = Path(command[0]).resolve()
    facts = compiler.stat()
    version = f"{compiler} {facts.st_size} {facts.st_mtime_ns}"
    parts = (source.file.read_text(encoding="utf-8"), *command[:-1], version, *_processor())
    key = hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]
    return cache_folder() / "kernels" / f"{source.name}-{key}.so"


@functools.cache
def _processor() -> tuple[str, ...]:
    """What the system says of the first processor."""
    facts = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    return tuple(line for line in facts if line.startswith(("flags", "Features", "model name")))[:2]


def _build(command: list[str], library: Path) -> Path:
    """Compiles into `library`, unless that exists.

    Raises NotAvailable, or OSError or OutputError where it cannot be written.
    """
    if library.exists():
        return library
    library.parent.mkdir(parents=True, exist_ok=True)
    sweep(library.parent)
    # Several processes of one training, or tests, begin at once, and compiling takes a core for seconds.
    with taking_turns(library.with_name(f".{library.name}.turn")):
        if not library.exists():
            _compile_into(library, command)
    return library


def _compile_into(library: Path, command: list[str]) -> None:
    compiler = command[0]
    with tempfile.TemporaryDirectory() as scratch:
        compiled, linked = f"{scratch}/compiled.o", f"{scratch}/linked"
        # Linked without -fopenmp, because torch has loaded an OpenMP library already.
        for step in ([*command, "-o", compiled], [compiler, "-shared", compiled, "-lm", "-o", linked]):
            done = subprocess.run(step, capture_output=True, text=True, timeout=300, check=False)
            if done.returncode:
                said = done.stderr.strip().splitlines() or ["it said nothing"]
                raise NotAvailable(f"{compiler} could not compile it: {said[0]}")
        # Replaced atomically, because where there are no locks, several processes may compile at once.
        with replacing(library) as partial:
            shutil.copyfile(linked, partial)
            partial.chmod(0o700)
