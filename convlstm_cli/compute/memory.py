"""Free memory of the system, and what this process does with memory that it has freed."""

import contextlib
import ctypes
from pathlib import Path

M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error of Python, of torch on any device, or of OpenCV says that memory ran out."""
    known = ("DefaultCPUAllocator", "out of memory", "Insufficient memory")
    return isinstance(error, MemoryError) or any(words in str(error) for words in known)


def free_memory(root: Path = Path("/")) -> int | None:
    """Bytes that this process can still take without swapping; None where that is not known (not Linux).

    Within the limits of its control groups, where it has any. `root` is where the system's files are read.
    """
    with contextlib.suppress(OSError, ValueError, StopIteration):
        lines = (root / "proc/meminfo").read_text(encoding="ascii").splitlines()
        free = [1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])]
        top = root / "sys/fs/cgroup"
        group = top / _control_group(root)
        for folder in (group, *(parent for parent in group.parents if parent.is_relative_to(top))):
            with contextlib.suppress(OSError, ValueError, StopIteration):
                limit = int((folder / "memory.max").read_text(encoding="ascii"))  # "max" is no limit and no number
                used = int((folder / "memory.current").read_text(encoding="ascii"))
                stat = (folder / "memory.stat").read_text(encoding="ascii").splitlines()
                # Counted as used, and given back as soon as it is wanted.
                cached = int(next(line for line in stat if line.startswith("inactive_file ")).split()[1])
                free.append(max(0, limit - used + cached))
        return min(free)
    return None


def _control_group(root: Path) -> str:
    """The path of this process's control group (version 2) below their folder; empty for the topmost."""
    with contextlib.suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text(encoding="utf-8").splitlines():
            if line.startswith("0::/"):
                return line.removeprefix("0::/")
    return ""


def keep_freed_memory() -> bool:
    """Lets glibc keep freed memory for the next training step. Returns whether it could; other C libraries cannot.

    Each step allocates and frees the same tensors. By default glibc maps each block of over 32 MB anew and unmaps it
    when it is freed, so that every page is faulted in and zeroed again. That is slow, most of all in virtual machines
    whose host takes freed memory away. The setting holds for the whole process, so the command line makes it and the
    library does not.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # another C library, or Windows
        return False
    return bool(mallopt(M_MMAP_MAX, 0) and mallopt(M_TRIM_THRESHOLD, -1))
