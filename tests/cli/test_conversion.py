"""Values of options that are converted without typer."""

import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from helpers import moving_square
from typer.testing import CliRunner

from convlstm_cli.cli import app
from convlstm_cli.cli.conversion import convert_quickly
from convlstm_cli.errors import UsageError

GIVEN: list[tuple[str, dict[str, Any]]] = [
    ("a b.mp4 ü.avi", {"inputs": [Path("a"), Path("b.mp4"), Path("ü.avi")], "model": None, "ensemble": ()}),
    ("v -m runs/one -o out", {"model": Path("runs/one"), "output": Path("out")}),
    ("v --ensemble r1 --ensemble r2", {"ensemble": [Path("r1"), Path("r2")]}),
    ("v --frames 12 --names time", {"frames": 12, "names": "time"}),
    ("v --seed -3", {"seed": -3}),  # typer's own from here
    ("v --max-gap 2.5", {"max_gap": 2.5}),
]


@pytest.mark.parametrize(("line", "expected"), GIVEN)
def test_values_are_those_of_typer(line: str, expected: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    ours = values(line)
    assert {name: ours[name] for name in expected} == expected
    monkeypatch.setattr(app, "convert_quickly", lambda parameters: parameters)
    theirs = values(line)
    assert ours == theirs
    assert {name: type(value) for name, value in ours.items()} == {name: type(value) for name, value in theirs.items()}


def test_parameters_of_a_typer_with_other_internals_are_left_to_it() -> None:
    parameter = SimpleNamespace(name="frames", type=int)
    assert convert_quickly([parameter]) == [parameter]
    assert vars(parameter) == {"name": "frames", "type": int}


def values(line: str) -> dict[str, Any]:
    """What the options and arguments of `convlstm predict` are, with parameters of their own."""
    found: dict[str, Any] = app.command_of.__wrapped__("predict").make_context("predict", line.split()).params
    return found


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("v --frames many", "--frames is 'many'; give a whole number."),
        ("v --frames 1.5", "--frames is '1.5'; give a whole number."),
        ("v --names size", "--names is 'size'; choose one of number, time."),
        ("v --max-gap x", "--max-gap is 'x'; give a number."),
    ],
)
def test_a_value_that_does_not_fit_is_named_with_what_would(line: str, message: str) -> None:
    with pytest.raises(UsageError) as raised:
        values(line)
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("line", "name"),
    [
        (["predict", ""], "INPUT"),
        (["predict", "v.mp4", ""], "INPUT"),
        (["predict", "v.mp4", "-m", ""], "--model"),
        (["train", "v", "-o", ""], "--output"),
        (["evaluate", "", "v"], "RUN"),
        (["watch", "v.mp4", "--normal", ""], "--normal"),
    ],
)
def test_an_empty_path_is_not_the_working_folder(line: list[str], name: str) -> None:
    done = CliRunner().invoke(app.app, line)
    assert done.exit_code == 2
    assert name in done.stderr
    assert "has an empty path" in done.stderr


def test_a_forecast_imports_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    code = (
        "import gc, json, sys\nfrom convlstm_cli.cli.app import main\ntry: main()\n"
        "except SystemExit: print(json.dumps([gc.get_freeze_count(), gc.isenabled(), *sys.modules]))"
    )
    np.save(tmp_path / "video.npy", moving_square(6, seed=0))
    command = [sys.executable, "-c", code, "predict", "video.npy", "-m", "pretrained", "--frames", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert (tmp_path / "forecasts/pretrained/video/frame_000001.png").is_file()
    frozen, collects, *modules = json.loads(done.stdout.splitlines()[-1])
    unwanted = {"pydantic", "sympy", "natsort", "PIL", "matplotlib", "torchmetrics", "torch._dynamo", "rich.progress"}
    assert not (unwanted | {"numpy.ma"}) & set(modules)
    assert frozen > 100_000  # those of torch alone are more
    assert collects
