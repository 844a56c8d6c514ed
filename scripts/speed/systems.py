"""The systems that can be measured, in the order of the tables."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from speed.processes import Failed, installed

BACKENDS = ("torch", "jax", "tensorflow")


@dataclass(frozen=True)
class System:
    """How to start a system's worker process."""

    name: str
    request: dict[str, Any]
    """The worker's request, see worker.py."""
    python: str
    """The Python interpreter that can import the system."""
    environment: dict[str, str] = field(default_factory=dict)
    note: str = ""
    """A remark that belongs to its numbers."""


ZEROS = "the first forecaster layer reads one channel of zeros, because every layer must have an input"


def of_torch(python: str, *, kernel_off: bool, bf16: bool, captured: bool) -> list[System]:
    """Our layer with each kind of peephole, and the plain cell.

    Where asked also ours in bfloat16, whatever the others compute in, and as CUDA graphs.
    """
    ours = [
        System("ours", {"kind": "ours", "peephole": "none"}, python),
        System("ours, channel", {"kind": "ours", "peephole": "channel"}, python, note="with one peephole per channel"),
        System("ours, full", {"kind": "ours", "peephole": "full"}, python, note="with a peephole at every position"),
    ]
    if kernel_off:
        off = {"CONVLSTM_KERNEL": "off"}
        note = "without the compiled kernel"
        ours.append(System("ours, no kernel", {"kind": "ours", "peephole": "none"}, python, off, note))
    if captured:
        note = "as CUDA graphs, as `convlstm train` and forecasts are"
        ours.append(System("ours, captured", {"kind": "ours", "peephole": "none", "captured": True}, python, note=note))
    if bf16:
        request = {"kind": "ours", "peephole": "none", "dtype": "bfloat16"}
        ours.append(System("ours, bf16", request, python, note="in bfloat16, the others in float32"))
    note = "the plain PyTorch cell of bench/plain.py; --peer measures a file of your own"
    return [*ours, System("plain", {"kind": "plain"}, python, note=note)]


def of_files(python: str, peers: Sequence[str]) -> list[System]:
    """The classes that texts `NAME=FILE.py:CLASS` name. Raises ValueError for any other text."""
    found = []
    for peer in peers:
        name, _, rest = peer.partition("=")
        file, _, class_name = rest.rpartition(":")
        if not (name and file and class_name):
            raise ValueError(f"--peer is {peer!r}; give NAME=FILE.py:CLASS")
        found.append(System(name, {"kind": "file", "file": file, "class": class_name}, python, note=ZEROS))
    return found


def of_keras(pythons: dict[str, str], failures: list[dict[str, str]]) -> list[System]:
    """Keras on every backend that the interpreters can import; `pythons` maps names to paths, "" is this interpreter.

    On torch Keras runs with channels first, too, which is torch's default but not Keras'.
    """
    found = []
    for interpreter, python in pythons.items():
        try:
            modules = installed(python, ("keras", *BACKENDS))
        except Failed as why:
            failures.append({"system": interpreter, "shape": "", "reason": str(why)})
            continue
        for backend in BACKENDS:
            if not {"keras", backend} <= modules:
                continue
            where = f" ({interpreter})" if interpreter else ""
            request = {"kind": "keras", "backend": backend, "order": "channels_last"}
            found.append(System(f"keras {backend}{where}", request, python, note=ZEROS))
            if backend == "torch":
                first = request | {"order": "channels_first"}
                found.append(System(f"keras {backend} channels first{where}", first, python, note=ZEROS))
    return found
