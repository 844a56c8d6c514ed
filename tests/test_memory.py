import subprocess
import sys

import pytest

from convlstm_cli.memory import is_out_of_memory, keep_freed_memory

FAULTS = """
import resource, sys
import torch
from convlstm_cli.memory import keep_freed_memory
kept = sys.argv[1] == "keep" and keep_freed_memory()
for _ in range(10):
    torch.ones(12_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(12_000_000)
print(int(kept), resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(how: str) -> tuple[bool, int]:
    """Whether memory was kept, and page faults of allocating 48 MB ten times more, in a process of its own."""
    done = subprocess.run([sys.executable, "-c", FAULTS, how], capture_output=True, text=True, check=True)
    kept, count = done.stdout.split()
    return kept == "1", int(count)


def test_freed_memory_is_used_again() -> None:
    kept, with_it = faults("keep")
    if not kept:
        pytest.skip("the C library here is not glibc")
    _, without = faults("default")
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
