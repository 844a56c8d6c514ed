"""What a network is exported as. Imports no torch."""

from dataclasses import dataclass
from typing import Literal

from convlstm_cli.errors import UsageError
from convlstm_cli.interop.programs import PROGRAMS
from convlstm_cli.settings import check_choice, check_types, option, parse_names, parse_size


def _format_help() -> str:
    kinds = " and ".join(f"{kind.name} ({kind.doc})" for kind in PROGRAMS.values())
    return f"What to write: {kinds}, with commas."


@dataclass(frozen=True)
class ExportConfig:
    """What a network is exported as."""

    formats: tuple[str, ...] = option(tuple(PROGRAMS), _format_help(), flag="--format", parse=parse_names)
    size: str | None = option(
        None,
        "Frame size in pixels that the shipped weights (pretrained) are exported for, N or HEIGHTxWIDTH; 64 if not "
        "given. Other runs are exported for the size of their training.",
    )
    colour: Literal["grey", "rgb"] | None = option(
        None, "Which of the shipped weights are exported: those for grey frames (the default), or for rgb."
    )

    def __post_init__(self) -> None:
        check_types(self)
        for name in self.formats:
            check_choice("--format", name, PROGRAMS)
        if not self.formats:
            raise UsageError("--format names no format; give at least one, such as torch.")
        if self.colour is not None:
            check_choice("--colour", self.colour, Literal["grey", "rgb"])
        _ = self.working_size  # is checked here, before anything is computed

    @property
    def working_size(self) -> tuple[int, int] | None:
        """Height and width in pixels that `size` asks for. Raises UsageError."""
        return None if self.size is None else parse_size(self.size)
