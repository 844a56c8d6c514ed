"""What a network is exported as. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from convlstm_cli.errors import UsageError
from convlstm_cli.settings import check_choice, option, parse_names

Program = Literal["torch", "onnx"]


@dataclass(frozen=True)
class ExportConfig:
    """What a network is exported as."""

    formats: tuple[str, ...] = option(
        ("torch", "onnx"),
        "What to write: torch (torch.export, needs PyTorch to run) and onnx (needs ONNX Runtime), with commas.",
        flag="--format",
        parse=parse_names,
    )

    def __post_init__(self) -> None:
        for name in self.formats:
            check_choice("--format", name, Program)
        if not self.formats:
            raise UsageError("--format names no format; give torch, onnx or both.")
