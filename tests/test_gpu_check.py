"""scripts/gpu-check rehearsed on the CPU: its steps, its table and its exit code."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from gpu_check.layers import TINY, OurLayer, PlainLayer
from gpu_check.traffic import measure

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the script is for bash, and kills process groups")


def check(output: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """The script in its small version on the CPU."""
    command = [str(ROOT / "scripts/gpu-check"), "-o", str(output), "--device", "cpu", "--quick", *arguments]
    environment = os.environ | {"PYTHON": sys.executable}
    return subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment, check=False)


def results(output: Path) -> dict[str, str]:
    """The result of each step in the written table."""
    rows = [line.split() for line in (output / "table.txt").read_text(encoding="utf-8").splitlines()[1:]]
    return {row[0]: row[2] for row in rows}


def test_steps_pass_and_what_they_saw_stands_in_the_table(tmp_path: Path) -> None:
    done = check(tmp_path, "--only", "tests,train,tiled,launches,speed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(tmp_path) == dict.fromkeys(("tests", "train", "tiled", "launches", "speed"), "pass")
    assert "killed, resumed, 8 steps" in done.stdout
    assert (tmp_path / "train.log").stat().st_size > 0
    rows = [json.loads(line) for line in (tmp_path / "speed" / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["dtype"], row["mode"]) for row in rows] == [
        ("float32", "train"), ("float32", "infer"), ("bfloat16", "train"), ("bfloat16", "infer")
    ]  # fmt: skip
    assert all(row["ms"].keys() == {"ours", "plain", "floor"} and min(row["ms"].values()) > 0.0 for row in rows)
    small = [
        json.loads(line) for line in (tmp_path / "launches" / "rows.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    *timed, busy = small
    assert {row["shape"] for row in timed} == {"default network, batch 2", *(f"({name}), batch 1" for name in "abc")}
    assert all(row["ms"].keys() == {"plain", "launched", "captured"} and min(row["ms"].values()) > 0 for row in timed)
    assert min(busy["alone_ms"], busy["between_ms"]) > 0
    assert "as there are no graphs here, launched / plain loop" in done.stdout


def test_a_step_that_runs_out_of_time_fails_and_the_others_go_on(tmp_path: Path) -> None:
    done = check(tmp_path, "--only", "train,evaluate", "--budget", "2")
    assert done.returncode == 1
    assert results(tmp_path) == {"train": "FAIL", "evaluate": "FAIL"}
    assert "no time was left for it" in done.stdout


def test_a_step_without_what_it_needs_is_skipped_with_a_reason(tmp_path: Path) -> None:
    done = check(tmp_path, "--only", "evaluate")
    assert done.returncode == 0
    assert results(tmp_path) == {"evaluate": "skip"}
    assert "needs the run of the step train" in done.stdout


def test_a_step_that_does_not_exist_is_named(tmp_path: Path) -> None:
    done = check(tmp_path, "--only", "tests,dance")
    assert done.returncode == 2
    assert "--only names dance; the steps are machine, tests" in done.stderr


def test_traffic_counts_what_a_step_moves_and_reorders() -> None:
    """In bytes that can be worked out, for one layer of 8 channels over 3 steps of 2 frames of 16x16."""
    ours, plain = (measure(kind, TINY[0], torch.float32) for kind in (OurLayer, PlainLayer))
    of_state = 2 * 8 * 16 * 16 * 4
    assert ours.counts.convolutions == 1 + 2 + 2 + 1 + 1  # of x, of h; gradients to h, and to the weights of h and of x
    assert ours.counts.reordered == plain.counts.reordered == 0
    assert ours.counts.moved > 3 * 16 * of_state  # gates are read, kept and read again, and their gradients written
    assert 3 * 6 * of_state < ours.kept < 1.2 * 3 * 6 * of_state  # gates, c and h
    assert plain.counts.convolutions == 6
    assert plain.counts.moved > ours.counts.moved
    assert plain.kept > ours.kept
