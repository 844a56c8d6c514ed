"""scripts/gpu-check rehearsed on the CPU: its steps, its table and its exit code."""

import importlib.metadata
import importlib.util
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import gpu_check.__main__
from gpu_check import suite
from gpu_check.layers import TINY, OurLayer, PlainLayer
from gpu_check.run import Context, Options
from gpu_check.suite import FIRST
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
    done = check(tmp_path, "--only", "tests,train,tiled,precision,launches,speed")
    assert done.returncode == 0, done.stdout + done.stderr
    assert results(tmp_path) == dict.fromkeys(("tests", "train", "tiled", "precision", "launches", "speed"), "pass")
    assert "killed, resumed, 8 steps" in done.stdout
    assert re.search(r"test MSE of bf16 over that of fp32 after 4 steps, by seed: [01]\.\d", done.stdout)
    assert (tmp_path / "train.log").stat().st_size > 0
    rows = [json.loads(line) for line in (tmp_path / "speed" / "rows.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(row["dtype"], row["mode"]) for row in rows] == [
        ("float32", "train"), ("float32", "infer"), ("bfloat16", "train"), ("bfloat16", "infer")
    ]  # fmt: skip
    assert all(
        row["ms"].keys() == {"ours", "captured", "plain", "floor"} and min(row["ms"].values()) > 0.0 for row in rows
    )
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


def test_what_the_package_requires_and_is_not_there_is_named_before_any_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    versions = {"typer": "0.24.1", "opencv-python": None, "opencv-python-headless": "4.12.0", "av": None}
    real = importlib.metadata.version

    def version(name: str) -> str:
        found = versions[name] if name in versions else real(name)
        if found is None:
            raise importlib.metadata.PackageNotFoundError(name)
        return found

    monkeypatch.setattr(importlib.metadata, "version", version)
    monkeypatch.setattr(sys, "argv", ["gpu-check", "-o", str(tmp_path / "out")])
    with pytest.raises(SystemExit) as ended:
        gpu_check.__main__.main()
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "cannot run the package: typer 0.24.1 is there and not <1,>=0.29; av is missing. Install" in message
    assert not (tmp_path / "out").exists()


def test_files_with_tests_of_a_gpu_start_first() -> None:
    mark = "pytest.mark." + "gpu"
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if mark in path.read_text(encoding="utf-8")]
    assert len(files) > 5
    assert [path for path in files if not str(path.relative_to(ROOT)).startswith(FIRST)] == []


def test_without_a_library_files_that_compute_on_a_gpu_are_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = Context(Options("cuda", False, tmp_path, 1), "tests", 0.0)
    everything, _ = suite._files(context)
    lacking(monkeypatch, "netCDF4", "hypothesis")
    some, why = suite._files(context)
    assert 20 < len(some) < len(everything)
    assert all(name.startswith(FIRST) for name in some)
    assert "hypothesis" not in "".join((ROOT / name.split("::")[0]).read_text(encoding="utf-8") for name in some)
    assert re.search("files left out, because there is no .*hypothesis, netCDF4", why)


def lacking(monkeypatch: pytest.MonkeyPatch, *absent: str) -> None:
    """Nothing finds these packages any more."""
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in absent else find(name))


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
