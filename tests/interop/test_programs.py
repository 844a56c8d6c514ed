"""The registry of exported programs, and what reads it."""

import pytest

from convlstm_cli.errors import UsageError
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.interop.program import Program
from convlstm_cli.interop.programs import PROGRAMS


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_kind_has_a_program(name: str) -> None:
    program = PROGRAMS[name].load()
    assert isinstance(program, Program)
    assert program.writing
    assert PROGRAMS[name].doc


def test_an_export_writes_every_kind_unless_asked_for_some() -> None:
    assert ExportConfig().formats == tuple(PROGRAMS)
    for formats in ((), ("keras",)):
        with pytest.raises(UsageError, match="--format"):
            ExportConfig(formats=formats)
