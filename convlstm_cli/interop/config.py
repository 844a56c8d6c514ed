"""What a network is exported as. Imports no torch."""

from dataclasses import dataclass

from convlstm_cli.errors import UsageError
from convlstm_cli.interop.programs import PROGRAMS
from convlstm_cli.settings import check_choice, option, parse_names


def _format_help() -> str:
    kinds = " and ".join(f"{kind.name} ({kind.doc})" for kind in PROGRAMS.values())
    return f"What to write: {kinds}, with commas."


@dataclass(frozen=True)
class ExportConfig:
    """What a network is exported as."""

    formats: tuple[str, ...] = option(tuple(PROGRAMS), _format_help(), flag="--format", parse=parse_names)

    def __post_init__(self) -> None:
        for name in self.formats:
            check_choice("--format", name, PROGRAMS)
        if not self.formats:
            raise UsageError("--format names no format; give at least one, such as torch.")
