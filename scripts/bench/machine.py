"""The machine that measured numbers come from, and the memory of its processes. Needs nothing but Python."""

import os
import platform
import sys
from pathlib import Path
from typing import Any


def describe() -> dict[str, Any]:
    """The processor's model and vector instructions, usable cores, memory in GB, and the operating system."""
    return {
        "cpu": _cpuinfo().get("model name") or platform.processor() or platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "instructions": [flag for flag in ("avx2", "avx512f", "avx512_bf16", "amx_bf16") if flag in _flags()],
        "memory_gb": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.platform(),
    }


def has_bfloat16() -> bool:
    """Whether the processor has bfloat16 arithmetic; elsewhere bfloat16 is emulated, which is slow."""
    return any(flag in ("avx512_bf16", "amx_bf16") for flag in _flags())


def peak_mb(max_resident: int) -> float:
    """`ru_maxrss` of a resource usage in MB (2**20 bytes); the system counts bytes on macOS and KB on Linux."""
    return max_resident * (1 if sys.platform == "darwin" else 1024) / 2**20


def _flags() -> list[str]:
    return _cpuinfo().get("flags", "").split()


def _cpuinfo() -> dict[str, str]:
    """The fields of the first processor in /proc/cpuinfo; empty where there is no such file."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}
