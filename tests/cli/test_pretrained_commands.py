"""`pretrained` wherever a RUN is taken, and training that starts from the shipped weights."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers import moving_square
from safetensors.torch import load_file
from typer.testing import CliRunner

from convlstm_cli.cli.app import app
from convlstm_cli.interop.torch_program import TorchFiles, TorchProgram
from convlstm_cli.nn import EncoderForecaster
from convlstm_cli.weights.pretrained import NAMES, weights_of

CPU = ["--device", "cpu"]


def run(*arguments: str, code: int = 0) -> Any:
    result = CliRunner().invoke(app, list(arguments))
    assert result.exit_code == code, result.output
    return result


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    np.save("grey.npy", moving_square(24, seed=0, size=48))
    np.save("colour.npy", moving_square(24, seed=3, size=48, channels=3))
    return tmp_path


def test_predict_uses_the_weights_of_the_videos_colour_at_its_size(here: Path) -> None:
    asked = ["predict", "grey.npy", "colour.npy", "--at", "12", "--format", "npy", *CPU]
    assert "no run under runs/" in run(*asked).stderr
    for name, shape in (("grey", (10, 48, 48)), ("colour", (10, 48, 48, 3))):
        folder = here / "forecasts" / "pretrained" / name
        record = json.loads((folder / "forecast.json").read_text())
        assert (record["run"], record["native_size"]) == ("pretrained", True)
        assert record["scores"]["model"]["mean"]["mse"] < 0.6 * record["scores"]["persistence"]["mean"]["mse"]
        assert np.load(folder / "forecast.npy").shape == shape
    named = run(*asked, "-m", "pretrained").stderr
    assert "no run under runs/" not in named
    assert "kept 2 forecasts" in named


def test_predict_works_at_the_size_that_is_asked_for(here: Path) -> None:
    run("predict", "grey.npy", "--size", "32", "--at", "12", "--frames", "2", "--format", "npy", "-o", "out", *CPU)
    record = json.loads((here / "out" / "grey" / "forecast.json").read_text())
    assert not record["native_size"]
    assert np.load(here / "out" / "grey" / "forecast.npy").shape == (2, 48, 48)
    assert "--size" in run("predict", "grey.npy", "--size", "33", code=2).stderr


@pytest.mark.usefixtures("without_charts")
def test_evaluate_scores_them_at_a_size_and_in_the_videos_colour(here: Path) -> None:
    found = json.loads(run("evaluate", "pretrained", "colour.npy", "--size", "48", "--json", *CPU).stdout)
    assert (found["runs"], found["height"], found["channels"]) == (["pretrained"], 48, 3)
    assert found["model"]["mean"]["mse"] < found["persistence"]["mean"]["mse"]
    assert (here / "evaluations" / "pretrained-1" / "report.html").is_file()
    assert "name a FOLDER" in run("evaluate", "pretrained", *CPU, code=2).stderr


def test_inspect_explain_and_info_describe_them(here: Path) -> None:  # noqa: ARG001
    found = json.loads(run("inspect", "pretrained", "--json").stdout)
    assert set(NAMES) == found["weights"].keys()
    assert found["weights"]["grey"]["parameters"] == sum(value.numel() for value in weights_of("grey").values())
    assert "made-up motion" in run("inspect", "pretrained").stdout
    assert run("explain", "-m", "pretrained").stdout
    assert "generator" in json.loads(run("info", "--json").stdout)["shipped_weights"]


def test_export_writes_them(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Recording is tested with small networks, in tests/interop: this one takes a minute."""
    given: list[EncoderForecaster] = []

    def write(_self: TorchProgram, network: EncoderForecaster, _folder: Path) -> TorchFiles:
        given.append(network)
        return TorchFiles({}, torch.__version__, [])

    monkeypatch.setattr(TorchProgram, "write", write)
    monkeypatch.setattr(TorchProgram, "load", lambda *_: given[0])
    run("export", "pretrained", "--format", "torch", "--size", "16", "--colour", "rgb")
    manifest = json.loads((here / "exports" / "pretrained-1" / "manifest.json").read_text())
    assert manifest["run"] == "pretrained"
    assert manifest["frames"]["shape"] == ["batch", 10, 3, 16, 16]
    for name, value in given[0].state_dict().items():
        assert torch.equal(value, weights_of("colour")[name]), name


def test_compare_says_what_to_do_instead(here: Path) -> None:  # noqa: ARG001
    assert "convlstm evaluate pretrained FOLDER" in run("compare", "pretrained", "runs/a", code=2).stderr


@pytest.mark.usefixtures("without_charts")
def test_training_starts_from_them_where_they_fit(make_folder: Callable[..., Path], here: Path) -> None:
    folder = str(make_folder(frames=8))
    short = ["--size", "32", "--input-frames", "4", "--frames", "3", "--max-steps", "1", "--batch", "1", *CPU]
    found = run("train", folder, "-o", "runs/default", "--learning-rate", "1e-12", *short)
    assert "starts from the shipped weights" in found.stderr
    config = json.loads((here / "runs" / "default" / "config.json").read_text())
    assert (config["training"]["init"], config["model"]["head"]) == ("pretrained", "motions")
    for name, value in load_file("runs/default/model.safetensors").items():
        torch.testing.assert_close(value, weights_of("grey")[name], rtol=0, atol=1e-6)

    test = json.loads((here / "runs" / "default" / "test.json").read_text())
    assert test["best_epoch"] in (0, 1)

    small = run("train", folder, "-o", "runs/small", "--hidden", "4", *short)
    assert "starts from drawn weights, as --hidden of the weights is 32,32 and of this network 4" in small.stderr
    training = json.loads((here / "runs" / "small" / "config.json").read_text())["training"]
    assert (training["init"], training["learning_rate"]) == ("none", 3e-3)

    refused = run("train", folder, "-o", "runs/no", "--hidden", "4", "--init", "pretrained", *short, code=2)
    assert "--init pretrained: --hidden" in refused.stderr
    run("train", folder, "-o", "runs/next", "--init", "runs/small", "--hidden", "4", *short)
    training = json.loads((here / "runs" / "next" / "config.json").read_text())["training"]
    assert training["init"] == str(here / "runs" / "small")
    assert training["learning_rate"] == 3e-3
    other = run("train", "-o", "runs/next", "--resume", "--init", "none", code=2)
    assert "--init is none and this run was begun with" in other.stderr


@pytest.mark.usefixtures("without_charts")
def test_training_that_makes_them_worse_keeps_them(here: Path) -> None:
    """The best forecast of noise is the mean of several frames. Large weights choose a single frame, which is worse."""
    (here / "noise").mkdir()
    for index in range(6):
        frames = np.random.default_rng(index).integers(0, 256, (8, 32, 32), dtype=np.uint8)
        np.save(here / "noise" / f"noise{index}.npy", frames)
    short = ["--size", "32", "--input-frames", "4", "--frames", "3", "--max-steps", "1", "--batch", "1", *CPU]
    bad = ["--learning-rate", "3", "--average", "0", "--warmup", "0"]
    run("train", "noise", "-o", "runs/worse", *bad, *short)
    for name, value in load_file("runs/worse/model.safetensors").items():
        assert torch.equal(value, weights_of("grey")[name]), name
    assert json.loads((here / "runs" / "worse" / "test.json").read_text())["best_epoch"] == 0
    assert "those of the start" in (here / "runs" / "worse" / "report.html").read_text()
