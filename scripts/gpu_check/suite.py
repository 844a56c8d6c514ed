"""The tests, one process for each file, and as many at a time as there are cores.

A process for each file keeps an error of the GPU, after which a process can use it no more, to one file, and needs no
pytest-xdist.
"""

import importlib.util
import re
import sys
import time
from pathlib import Path

from gpu_check.run import ROOT, Context, Failed, Process, Skipped

FIRST = (
    "tests/test_train",
    "tests/test_predict",
    "tests/training/test_device_step",
    "tests/forecasting/test_inference",
    "tests/compute/test_graphs",
    "tests/compute/test_device",
    "tests/compute/test_transfer",
    "tests/training/test_training_memory",
    "tests/nn/",
)
"""Files that compute on the GPU, those that take longest first; they must all come to their end."""
LEFT_OUT = ("tests/test_gpu_check.py",)
"""Files that would start this again."""
SLOW = (
    "tests/test_benchmarks",
    "tests/test_fuzz",
    "tests/test_kills",
    "tests/compute/test_distributed",
    "tests/interop/",
)
"""Started next, so that the last file does not run alone."""
LIBRARIES = ("h5py", "hypothesis", "netCDF4", "pydicom", "tifffile", "xarray", "zarr")
"""What tests import beside what the package cannot do without. Files of FIRST need hypothesis at most."""
SPLIT = ("tests/nn/test_triton_gates.py",)
"""Files whose functions get a process each, because compiling their kernels one after another takes too long."""
QUICK = ("tests/test_registry.py", "tests/test_lock.py")
COUNTS = ("passed", "failed", "error", "errors", "skipped")


def tests(context: Context) -> str:
    """Runs the test files in time; how many of the later ones had no time is said, and is no failure."""
    if importlib.util.find_spec("pytest") is None:
        raise Skipped("pytest is not installed")
    waiting, left_out = _files(context)
    (context.folder).mkdir(parents=True, exist_ok=True)
    running: dict[str, Process] = {}
    counts = dict.fromkeys(COUNTS, 0)
    failed: list[str] = []
    while (waiting or running) and context.left > 0.0:
        while waiting and len(running) < context.options.cores and context.left > 5.0:
            name = waiting.pop(0)
            running[name] = _start(context, name)
        for name, process in list(running.items()):
            if not process.running():
                del running[name]
                code = process.wait(0.0)
                _count(process, counts)
                if code not in (0, 5):  # 5: no test was left
                    failed.append(name)
        time.sleep(0.05)
    for process in running.values():
        process.kill()
    saw = ", ".join(f"{count} {name}" for name, count in counts.items() if count)
    late = [*running, *waiting]
    unfinished = [name for name in late if name.startswith(FIRST)]
    if late:
        saw += f"; {len(late)} files not finished in time"
    if left_out:
        saw += f"; {left_out}"
    if failed or unfinished:
        _collect_failures(context, failed)
        reasons = [f"failed in {', '.join(failed)}"] if failed else []
        reasons += [f"not finished: {', '.join(unfinished)}"] if unfinished else []
        raise Failed(f"{saw}; {'; '.join(reasons)}")
    return saw


def _files(context: Context) -> tuple[list[str], str]:
    """The test files in the order in which they start, and what was left out, in words."""
    if context.options.quick:
        return list(QUICK), ""
    names = [str(path.relative_to(ROOT)) for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    names = [name for name in names if name not in LEFT_OUT]
    left_out = ""
    if missing := [name for name in LIBRARIES if importlib.util.find_spec(name) is None]:
        # Of the others many read or write all formats, so that they would fail for want of a library alone.
        kept = [name for name in names if name.startswith(FIRST) and not _mentions(name, missing)]
        left_out = f"{len(names) - len(kept)} files left out, because there is no {', '.join(missing)}"
        names = kept

    parts = [part for name in names for part in (_functions(name) if name in SPLIT else [name])]

    def order(name: str) -> tuple[int, str]:
        return next((rank for rank, prefix in enumerate((*FIRST, *SLOW)) if name.startswith(prefix)), 99), name

    return sorted(parts, key=order), left_out


def _mentions(name: str, libraries: list[str]) -> bool:
    source = (ROOT / name).read_text(encoding="utf-8")
    return any(library in source for library in libraries)


def _functions(name: str) -> list[str]:
    """The tests of a file, as pytest names them, without their parameters."""
    source = (ROOT / name).read_text(encoding="utf-8")
    return [f"{name}::{function}" for function in re.findall(r"^def (test_\w+)", source, re.MULTILINE)]


def _log(context: Context, name: str) -> Path:
    return context.folder / (name.removeprefix("tests/").replace("/", "-").replace("::", "-") + ".log")


def _start(context: Context, name: str) -> Process:
    log = _log(context, name)
    # The benchmark's plugin warns where it is beside xdist, and warnings are errors.
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:benchmark", "-p", "no:cacheprovider", name]
    scratch = context.folder / "scratch" / log.stem
    scratch.parent.mkdir(exist_ok=True)
    # One cache for all, so that C kernels, which take seconds each, are compiled once.
    environment = {"OMP_NUM_THREADS": "1", "CONVLSTM_TEST_CACHE": str(context.folder / "cache")}
    return context.start([*command, f"--basetemp={scratch}"], log, environment)


def _count(process: Process, counts: dict[str, int]) -> None:
    """Adds what the last line of pytest says, such as `3 passed, 1 skipped in 2.05s`."""
    for number, name in re.findall(r"(\d+) (\w+)", process.last_words()):
        if name in counts:
            counts[name] += int(number)


def _collect_failures(context: Context, failed: list[str]) -> None:
    """Writes the summary lines of failed tests into the step's log."""
    with context.log.open("a", encoding="utf-8") as log:
        for name in failed:
            lines = _log(context, name).read_text(encoding="utf-8", errors="replace")
            log.writelines(f"{line}\n" for line in lines.splitlines() if line.startswith(("FAILED", "ERROR", "E  ")))
