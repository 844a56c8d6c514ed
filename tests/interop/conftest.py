"""What the tests of exported programs share."""

import pytest

from convlstm_cli.nn import motion


@pytest.fixture
def two_iterations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes fewer steps to find motion: recording them takes most of the time, and two show that they are repeated."""
    monkeypatch.setattr(motion, "ITERATIONS", 2)
