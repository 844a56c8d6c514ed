"""The benchmark scripts run and report; everything is as small as possible, so the numbers mean nothing."""

import contextlib
import csv
import io
import json
import math
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from calls import called
from made_up import made_up_summary

from convlstm_cli.nn import motion

ROOT = Path(__file__).parent.parent
SPEED = [sys.executable, str(ROOT / "scripts/benchmark_speed.py"), "--scale", "tiny", "--rounds", "1", "--json"]


def numbers(content: Any) -> Iterator[float]:
    """All numbers of a JSON document."""
    if isinstance(content, dict):
        content = list(content.values())
    if isinstance(content, list):
        for part in content:
            yield from numbers(part)
    elif isinstance(content, int | float) and not isinstance(content, bool):
        yield content


def left_over(mark: str) -> list[str]:
    """Processes whose environment holds `mark`."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        try:
            if mark.encode() in path.read_bytes():
                found.append(path.parent.name)
        except OSError:  # the process has ended, or belongs to another user
            continue
    return found


def test_trainings_side_by_side() -> None:
    command = [sys.executable, str(ROOT / "scripts/benchmark_side_by_side.py"), "--spins", "100", "--json"]
    # One thread each: two that wait for each other could wait for long beside the other tests.
    command += ["--seconds", "0", "--rounds", "1", "--side", "16", "--threads", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [row] = json.loads(done.stdout)["rows"]
    assert row["spin"] == 100
    assert min(row["alone_ms"], row["beside_ms"]) > 0.0


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Runs a script in this process, which saves the seconds that torch takes to load. Returns what it prints."""

    def run(script: str, *arguments: object, code: int = 0) -> str:
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        ended = 0
        with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(io.StringIO()) as messages:
            try:
                runpy.run_path(str(ROOT / "scripts" / script), run_name="__main__")
            except SystemExit as reason:
                ended = int(reason.code or 0)
        assert ended == code, messages.getvalue()
        return messages.getvalue() if code else output.getvalue()

    return run


@pytest.mark.skipif(sys.platform == "win32", reason="the benchmark stops processes by signals")
def test_speed_measures_what_runs_and_names_what_fails(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("class ConvLSTM:\n    def __init__(self):\n        pass\n")
    mark = f"CONVLSTM_TEST={tmp_path}"
    peer = f"broken={tmp_path / 'broken.py'}:ConvLSTM"
    done = subprocess.run(
        [*SPEED, "--shapes", "b", "--no-growth", "--systems", "ours,broken", "--peer", peer],
        capture_output=True,
        text=True,
        timeout=120,
        env=os.environ | dict([mark.split("=", 1)]),
    )
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout)
    rows = results["speed"]
    expected = [(mode, system) for mode in ("train", "infer") for system in ("floor", "ours")]
    assert [(row["mode"], row["system"]) for row in rows] == expected
    for row in rows:
        assert row["of_floor"]
        assert row["of_ours"]
        found = [row["ms"], *row["of_floor"].values(), *row["of_ours"].values()]
        assert all(math.isfinite(number) and number > 0 for number in found)
        if row["mode"] == "train" and row["system"] != "floor":
            assert row["peak_mb"] > row["growth_mb"]
    assert {failure["system"] for failure in results["failures"]} == {"broken"}
    assert "omitted: broken b: TypeError" in done.stderr
    assert not left_over(mark)


@pytest.mark.skipif(sys.platform == "win32", reason="the benchmark stops processes by signals")
def test_speed_measures_single_convolutions() -> None:
    done = subprocess.run([*SPEED, "--convolutions"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["single"]
    assert rows
    for row in rows:
        assert {"forward contiguous", "our forward channels_last", "our weight contiguous"} <= row["ms"].keys()
        assert all(0 < ms < math.inf for ms in row["ms"].values())
        assert max(row["errors"].values()) < 1e-5


def test_pipeline_says_where_the_time_goes(make_folder: Callable[..., Path], ran: Callable[..., str]) -> None:
    small = ["--size", "32", "--hidden", "4", "--input-frames", "4", "--frames", "3", "--batch-size", "2", "--cpu"]
    results = json.loads(ran("benchmark_pipeline.py", make_folder(), *small, "--rounds", 1, "--json"))
    assert sum(part["share"] for part in results["epoch"].values()) == pytest.approx(1.0)
    measured = [results["once_ms"], results["batch_ms"], results["clips_per_second"], results["step_of_bare"]]
    assert all(math.isfinite(number) and number > 0 for number in numbers(measured))


@pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands for Python")
def test_start_compares_a_forecast_with_its_imports(
    tmp_path: Path, ran: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    python = tmp_path / "python"  # stands for Python, whose imports take seconds, and writes what a forecast writes
    python.write_text(
        '#!/bin/sh\nfor last; do :; done\n[ "$1" = -c ] || { mkdir "$last"; : >"$last/frame_000001.png"; }\n'
    )
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    header, *rows = ran("benchmark_start.py", "--runs", 1).splitlines()
    assert "ratio" in header
    assert [row[:18].strip() for row in rows] == ["first frame", "whole process", "its processor time"]
    assert all(float(number) >= 0 for row in rows for number in row[18:].split())


def test_decoding_compares_the_decoders(ran: Callable[..., str]) -> None:
    rows = json.loads(ran("benchmark_decoding.py", "--frames", 4, "--rounds", 1, "--json"))["videos"]
    assert [row["frames"] for row in rows] == [4, 4]
    assert all(row[name] > 0 for row in rows for name in ("opencv_s", "pyav_s", "ratio", "probe_ms"))


def test_motion_is_measured_with_and_without_its_kernel(ran: Callable[..., str]) -> None:
    if (reason := motion.why_no_kernel(torch.device("cpu"))) is not None:
        pytest.skip(f"no compiled kernels here: {reason}")
    rows = json.loads(ran("benchmark_motion.py", "--sizes", 32, "--batches", 1, "--rounds", 1, "--json"))["rows"]
    *parts, step = [row["part"] for row in rows]
    assert parts == ["search", "moving on", "forecast"]
    assert step in ("training step, fp32", "training step, bf16")
    assert all(row[name] > 0 for row in rows for name in ("tensors_ms", "kernel_ms", "ratio"))


def test_memory_is_reported_for_each_length(ran: Callable[..., str], monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], **_options: object) -> "subprocess.CompletedProcess[str]":
        assert command[:3] == [sys.executable, str(ROOT / "scripts/benchmark_memory.py"), "--one"]
        return subprocess.CompletedProcess(command, 0, ran("benchmark_memory.py", *command[2:]))

    monkeypatch.setattr(subprocess, "run", run)
    header, *rows = ran("benchmark_memory.py", "--steps", "2,6", "--size", 16).splitlines()
    assert header.split()[-2:] == ["2", "6"]
    assert [row[:14] for row in rows] == ["all gates kept", "gates of 10 st"]
    assert all(float(number.strip(",")) >= 0 for row in rows for number in row[36:].split())


def test_scale_says_whether_the_target_is_met() -> None:
    script = ROOT / "scripts/benchmark_scale.py"
    command = [sys.executable, str(script), "--scale", "tiny", "--only", "startup", "--json"]
    environment = os.environ | {"CONVLSTM_KERNEL": "off"}  # which takes seconds to compile, in a cache of its own
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    [claim] = json.loads(done.stdout)
    assert claim["holds"] == (claim["value"] <= claim["limit"])
    assert all(seconds > 0 for seconds in claim["measured"].values())
    assert claim["value"] == pytest.approx(claim["measured"]["second run"] - claim["measured"]["import torch"])
    made = runpy.run_path(str(script))
    assert "NOT met: at most 1.1" in str(made["flat"]("memory", {"few": 100, "many": 120}))
    assert "NOT" not in str(made["flat"]("memory", {"few": 100, "many": 109}))


def test_recipes_are_tried_and_kept(
    make_folder: Callable[..., Path], tmp_path: Path, ran: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def run(command: list[str], **_options: object) -> "subprocess.CompletedProcess[str]":
        assert command[:3] == [sys.executable, "-m", "convlstm_cli"]
        return subprocess.CompletedProcess(command, 0, called(*command[3:], cwd=tmp_path).stdout)

    monkeypatch.setattr(subprocess, "run", run)
    tiny = "--size 32 --hidden 4 --input-frames 4 --frames 3 --device cpu"
    table = tmp_path / "table.csv"
    arguments = [make_folder(), "--options", tiny, "--max-steps", 1, "--table", table, "--trials"]
    for trials in ("default; residual", "mse"):
        ran("benchmark_recipe.py", *arguments, trials)
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["trial"] for row in rows] == ["default", "residual", "mse"]
    assert rows[1]["options"] == f"{tiny} --head residual --loss mse"
    assert all(row["data"] == "videos" and row["steps"] == "1" and float(row["test / copying"]) > 0 for row in rows)
    assert "no trial 'magic'" in ran("benchmark_recipe.py", *arguments, "magic", code=2)


def test_the_peephole_study_prints_tables_and_verdicts(tmp_path: Path, ran: Callable[..., str]) -> None:
    summary = made_up_summary(seeds=3).to_dict()
    (tmp_path / "digits").mkdir()
    (tmp_path / "digits/summary.json").write_text(json.dumps(summary), encoding="utf-8")
    printed = ran("peephole_study.py", "--print", "--output", tmp_path)
    rows = [line.split(" | ") for line in printed.splitlines() if line.startswith("|")]
    assert [row[0] for row in rows[2:]] == [f"| {arm['name']}" for arm in summary["arms"]]
    assert len({len(row) for row in rows}) == 1
    assert f"{summary['differences']['full']['relative']:+.2%}" in rows[-1]
    assert all(sentence in printed for sentence in summary["verdict"])
    assert "--mnist, --radar" in ran("peephole_study.py", code=2)


def test_watch_finds_planted_flashes(ran: Callable[..., str]) -> None:
    found = json.loads(
        ran("benchmark_watch.py", "--videos", 1, "--frames", 75, "--kinds", "flash", "--repeats", 1, "--json")
    )
    assert [list(score["kinds"]) for score in found["scores"]] == [["flash"]] * len(found["scores"])
    assert all(0 <= figure <= 1 for score in found["scores"] for figure in score["mean"])
    assert found["scores"][-1]["score"].startswith("watch")
