import subprocess
import sys
from pathlib import Path

import pytest

from convlstm_cli.compute.memory import free_memory, is_out_of_memory, keep_freed_memory

FAULTS = """
import resource
import torch
from convlstm_cli.compute.memory import keep_freed_memory

def faults():
    for _ in range(10):
        torch.ones(12_000_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(12_000_000)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(), int(keep_freed_memory()), faults())
"""
"""Prints page faults of allocating 48 MB ten times more, before and after freed memory is kept."""


def test_freed_memory_is_used_again() -> None:
    done = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)
    without, kept, with_it = map(int, done.stdout.split())
    if not kept:
        pytest.skip("the C library here is not glibc")
    assert with_it < without / 5


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ctypes.CDLL", lambda _name: object())
    assert not keep_freed_memory()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (MemoryError(), True),
        (RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"), True),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (RuntimeError("unsupported memory format option"), False),
        (ValueError("no"), False),
    ],
)
def test_only_a_want_of_memory_is_told_as_one(error: Exception, told: bool) -> None:
    assert is_out_of_memory(error) == told


def system(root: Path, available: int, groups: dict[str, tuple[str, int, int]]) -> Path:
    """The files of a Linux system with so many kB and control groups of (limit, used, cached) bytes."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(f"MemTotal: 999999 kB\nMemFree: 1 kB\nMemAvailable: {available} kB\n")
    (root / "proc/self/cgroup").write_text("1:name=old:/other\n0::/jobs/one\n")
    for group, (limit, used, cached) in groups.items():
        folder = root / "sys/fs/cgroup" / group
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "memory.max").write_text(f"{limit}\n")
        (folder / "memory.current").write_text(f"{used}\n")
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {cached}\n")
    return root


@pytest.mark.parametrize(
    ("groups", "free"),
    [
        ({}, 100 * 1024),
        ({"jobs/one": ("max", 10, 0)}, 100 * 1024),
        ({"jobs/one": ("5000", 4000, 300)}, 1300),
        ({"jobs/one": ("5000", 1000, 0), "jobs": ("5000", 4500, 0)}, 500),
        ({"jobs/one": ("5000", 6000, 0)}, 0),
        ({"other": ("5", 1, 0)}, 100 * 1024),
    ],
)
def test_free_memory_is_the_least_that_any_limit_leaves(
    groups: dict[str, tuple[str, int, int]], free: int, tmp_path: Path
) -> None:
    assert free_memory(system(tmp_path, 100, groups)) == free


def test_free_memory_is_unknown_elsewhere(tmp_path: Path) -> None:
    assert free_memory(tmp_path) is None


@pytest.mark.skipif(sys.platform != "linux", reason="known on Linux only")
def test_this_system_has_free_memory() -> None:
    free = free_memory()
    assert free is not None
    assert free > 1 << 20
