import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import TINY

from convlstm_cli.compute.device import choose
from convlstm_cli.compute.distributed import ALONE, Ranks, is_lost
from convlstm_cli.errors import InputError, LostProcessError, RemoteProcessError, UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

EPOCHS = 6
CONFIG = TrainConfig(
    epochs=EPOCHS,
    epoch_steps=1,
    patience=0,
    batch_size=13,
    average=0.5,
    augment=("hflip", "reverse"),
    scheduled_sampling=0.8,
    device="cpu",
    precision="fp32",
)
"""4 steps an epoch: of 13 clips, which two processes cannot halve, and of 1, which leaves one without a clip."""
OPTIONS = [*TINY, "--forecaster", "autoregressive", "--epochs", str(EPOCHS), "--epoch-steps", "1", "--patience", "0"]
OPTIONS += ["--batch-size", "13", "--average", "0.5", "--augment", "hflip,reverse", "--scheduled-sampling", "0.8"]
OPTIONS += ["--device", "cpu", "--precision", "fp32"]


def test_a_single_process_has_everything() -> None:
    assert ALONE.is_first
    assert ALONE.share([1, 2, 3]) == [1, 2, 3]
    assert (ALONE.sum(2.0), ALONE.of_first("a"), ALONE.gather("a")) == (2.0, "a", ["a"])
    assert ALONE.first(lambda: 1, lambda: 2) == ALONE.first_of_machine(lambda: 1) == 1


def test_shares_are_the_whole_and_no_item_is_in_two() -> None:
    items = list(range(11))
    shares = [list(Ranks(rank, 4).share(items)) for rank in range(4)]
    assert sorted(item for share in shares for item in share) == items


@pytest.mark.parametrize(
    "numbers", [{"WORLD_SIZE": "2", "RANK": "2"}, {"WORLD_SIZE": "two"}, {"WORLD_SIZE": "2", "RANK": "-1"}]
)
def test_numbers_that_make_no_sense(monkeypatch: pytest.MonkeyPatch, numbers: dict[str, str]) -> None:
    for name, value in numbers.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UsageError, match="torchrun"):
        Ranks.from_environment()


class Told(Ranks):
    """A process that is told what the others would have told."""

    def __init__(self, rank: int, codes: list[int | None]) -> None:
        super().__init__(rank, len(codes), rank)
        self._codes = codes

    def gather(self, value: Any) -> list[Any]:
        assert value == self._codes[self.rank]
        return self._codes


def test_a_failure_is_told_by_the_process_that_has_it_and_ends_the_others() -> None:
    def fail() -> str:
        raise InputError("no video")

    with pytest.raises(InputError, match="no video"):
        Told(0, [1, None]).first_of_machine(fail)
    with pytest.raises(RemoteProcessError) as ended:
        Told(1, [1, None]).first_of_machine(fail)
    assert ended.value.exit_code == 1
    assert Told(0, [None, None]).first(lambda: "made", fail) == "made"
    assert Told(1, [None, None]).first(fail, lambda: "opened") == "opened"


def test_devices_of_several_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    two = [torch.device("cuda", 0), torch.device("cuda", 1)]
    monkeypatch.setattr("convlstm_cli.compute.device.accelerators", lambda: two)
    assert choose("auto", ranks=Ranks(1, 4, 1, 2)).device == two[1]
    assert choose("cuda", ranks=Ranks(1, 4, 1, 2)).device == two[1]
    assert choose("cpu", ranks=Ranks(1, 4, 1)).device.type == "cpu"
    assert choose("auto", ranks=Ranks(3, 4, 1, 2)).device == two[1]
    for rank in range(4):  # also where a process has one of its own, since it would wait for the others
        with pytest.raises(UsageError, match="--nproc-per-node"):
            choose("auto", ranks=Ranks(rank, 4, rank, 4))
    with pytest.raises(UsageError, match="for 4 processes"):
        choose("cuda:1", ranks=Ranks(2, 4, 1))


def test_processes_that_do_not_reach_each_other_are_one_message(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
        monkeypatch.setenv("MASTER_PORT", str(taken.getsockname()[1]))
        monkeypatch.setenv("WORLD_SIZE", "2")
        monkeypatch.setenv("RANK", "0")
        with pytest.raises(LostProcessError, match=r"do not reach each other at 127\.0\.0\.1:\d+"):
            Ranks(0, 2, 0, 2).connect(torch.device("cpu"))
    monkeypatch.delenv("MASTER_ADDR")
    with pytest.raises(UsageError, match="MASTER_ADDR"):
        Ranks(0, 2, 0, 2).connect(torch.device("cpu"))


@pytest.mark.parametrize("clips", [1, 2, 5])
def test_scores_of_dealt_out_clips_come_back_in_order(clips: int) -> None:
    forecast, truth = torch.rand(2, clips, 3, 1, 16, 16)
    whole = Scores([0.5])
    whole.add(forecast, truth)
    parts = []
    for rank in range(3):
        part = Scores([0.5])
        for position in range(rank, clips, 3):
            part.add(forecast[position : position + 1], truth[position : position + 1])
        parts.append(part)
    together = Scores.in_turn(parts)
    assert together.clips == clips
    assert together.to_dict() == whole.to_dict()
    assert (together.per_clip("ssim") == whole.per_clip("ssim")).all()


def launch(rank: int, port: int, *words: str | Path) -> "subprocess.Popen[str]":
    """One of two processes, as torchrun would start it."""
    numbers = {"WORLD_SIZE": "2", "RANK": str(rank), "LOCAL_RANK": str(rank)}
    where = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    command = [sys.executable, "-m", "convlstm_cli", "train", *map(str, words)]
    return subprocess.Popen(command, env={**os.environ, **numbers, **where}, stderr=subprocess.PIPE, text=True)


@pytest.mark.usefixtures("without_charts")
def test_two_processes_train_as_one_does_also_after_one_was_killed(
    make_folder: Callable[..., Path], tmp_path: Path
) -> None:
    folder = make_folder(videos=7)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    run = tmp_path / "two"
    first, second = (launch(rank, port, folder, "-o", run, *OPTIONS) for rank in range(2))
    while not ((run / "metrics.jsonl").exists() and len((run / "metrics.jsonl").read_text().splitlines()) >= 2):
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.01)
    second.kill()
    told = first.communicate(timeout=120)[1]
    second.communicate()
    assert first.returncode == 1
    assert "error: another process of this training has ended; what was reached is saved" in told
    assert f"convlstm train -o {run} --resume" in told
    assert "Traceback" not in told
    assert len((run / "metrics.jsonl").read_text().splitlines()) < EPOCHS

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m"]
    again = subprocess.run(
        [*torchrun, "convlstm_cli", "train", "-o", run, "--resume", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(again.stdout)["run"] == str(run)  # told once

    data = prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)
    model = ForecasterConfig(
        32, 32, 1, hidden=(4,), kernel_size=3, input_frames=4, horizon=3, forecaster="autoregressive"
    )
    alone = train(data, model, CONFIG, tmp_path / "one")
    together = Run.open(run)
    assert together.config["compute"]["processes"] == 2
    rows = alone.run.read_metrics()
    assert len(rows) == EPOCHS
    assert rows[-1]["steps"] == 4 * EPOCHS
    for one, two in zip(rows, together.read_metrics(), strict=True):
        assert (one["epoch"], one["steps"]) == (two["epoch"], two["steps"])
        assert two["train_loss"] == pytest.approx(one["train_loss"], abs=1e-5)
        assert two["validation"]["model"]["clips"] == one["validation"]["model"]["clips"]
        assert two["validation"]["model"]["mean"]["mse"] == pytest.approx(
            one["validation"]["model"]["mean"]["mse"], abs=1e-5
        )
    test = together.read_test()
    assert test is not None
    assert test["model"]["clips"] == test["optical_flow"]["clips"] == alone.test.model.clips
    assert test["skill"] == pytest.approx(alone.test.skill, abs=1e-4)


def test_a_lost_connection_is_told_from_other_errors() -> None:
    assert is_lost(RuntimeError("[../gloo/transport/tcp/pair.cc:534] Connection closed by peer [127.0.0.1]:1234"))
    assert not is_lost(RuntimeError("mat1 and mat2 shapes cannot be multiplied"))
