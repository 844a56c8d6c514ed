"""The garbage collector rests while a command's imports run."""

import gc
import importlib
import importlib.util
from collections.abc import Iterator
from types import ModuleType

import pytest

from convlstm_cli.cli import app, loading


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[object]]:
    """What the imports and the collector see; nothing is left out of collections for good."""
    found: list[object] = []

    def imported(name: str) -> ModuleType:
        found.append((name, gc.isenabled()))
        if name.endswith("broken"):
            raise ModuleNotFoundError(name)
        return ModuleType(name)

    monkeypatch.setattr(importlib, "import_module", imported)
    monkeypatch.setattr(gc, "freeze", lambda: found.append("frozen"))
    yield found
    gc.enable()


def test_the_collector_rests_while_a_command_is_imported(seen: list[object]) -> None:
    loading.load("made_up")
    assert seen == [("convlstm_cli.made_up", False), "frozen"]
    assert gc.isenabled()


def test_the_collector_works_on_after_an_import_that_fails(seen: list[object]) -> None:
    with pytest.raises(ModuleNotFoundError):
        loading.load("broken")
    assert seen == [("convlstm_cli.broken", False)]
    assert gc.isenabled()


def test_a_collector_that_was_switched_off_stays_off(seen: list[object]) -> None:
    gc.disable()
    loading.load("made_up")
    assert seen == [("convlstm_cli.made_up", False), "frozen"]
    assert not gc.isenabled()


def test_what_a_program_has_made_is_collected(seen: list[object]) -> None:
    loading.load("cli.loading")  # has been imported
    assert not seen


@pytest.mark.parametrize("name", app.COMMANDS)
def test_every_command_has_a_module_that_does_its_work(name: str) -> None:
    module = app.ELSEWHERE.get(name, name)
    assert importlib.util.find_spec(f"convlstm_cli.{module}") is not None
