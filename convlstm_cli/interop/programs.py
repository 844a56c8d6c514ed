"""The kinds of programs that a network is exported as. Imports no torch.

A kind is one entry of `PROGRAMS`, which names its subclass of `program.Program`. The option --format, its help text,
its check, the export and its manifest read this registry.
"""

import pkgutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convlstm_cli.registry import Registry

if TYPE_CHECKING:
    from convlstm_cli.interop.program import Program


@dataclass(frozen=True)
class ProgramKind:
    """A kind of programs that a network is exported as."""

    name: str
    """As --format takes it."""
    doc: str
    """What it takes to run one, in a few words."""
    program: str
    """`module:class` of its Program, which is imported when it is first used."""

    def load(self) -> "Program[Any]":
        """Makes its Program."""
        make: type[Program[Any]] = pkgutil.resolve_name(self.program)
        return make()


PROGRAMS = Registry(
    "kind of program",
    (
        ProgramKind("torch", "torch.export, needs PyTorch to run", "convlstm_cli.interop.torch_program:TorchProgram"),
        ProgramKind("onnx", "needs ONNX Runtime", "convlstm_cli.interop.onnx_program:OnnxProgram"),
    ),
)
