"""--resume: what it continues, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import QUICK, called, refused

pytestmark = pytest.mark.usefixtures("without_charts")


def test_an_interrupted_training_goes_on(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    command = [sys.executable, "-m", "convlstm_cli", "train", str(folder), *QUICK, "-o", "runs/cut", "--epochs", "400"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "runs/cut/metrics.jsonl").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, messages = process.communicate(timeout=30)
    assert process.returncode == 130, messages
    assert "--resume" in messages
    assert "Traceback" not in messages

    done = called("train", folder, *QUICK, "-o", "runs/cut", "--epochs", 1, "--resume", cwd=tmp_path)
    assert "going on with runs/cut" in done.stderr
    assert (tmp_path / "runs/cut/test.json").exists()


def test_resume_refuses_what_would_make_another_run(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder, other = make_folder(), make_folder(videos=1, name="other")
    called("train", folder, *QUICK, "-o", "runs/a", "--max-steps", 1, "--resume", cwd=tmp_path)  # begins it
    for option in (["--hidden", "8"], ["--size", "48"], ["--learning-rate", "1"], ["--fit", "crop"]):
        assert option[0] in refused("train", "-o", "runs/a", "--resume", *option, cwd=tmp_path)
    assert "FOLDER is" in refused("train", other, "-o", "runs/a", "--resume", cwd=tmp_path)
    assert "--loss" in refused("train", "-o", "runs/a", "--resume", "--loss", "mse", cwd=tmp_path)
    called("train", "-o", "runs/a", "--resume", "--hidden", "4", "--max-steps", "2", cwd=tmp_path)


def test_a_batch_that_fits_is_found_and_settled(
    make_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder()
    message = refused("train", folder, "-o", "run", *QUICK, "--batch", "none", cwd=tmp_path)
    assert "--batch-size is 'none'; give auto, or a number" in message
    monkeypatch.setattr("convlstm_cli.compute.device.free_memory", lambda _device: 10**6)
    train = "train", folder, "-o", "run", *QUICK, "--max-steps", 1, "--device", "cpu"
    message = refused(*train, "--batch-size", 64, cwd=tmp_path, code=1)
    assert "--batch-size 64 with frames of 32x32 takes more memory than there is (1.0 MB are free)" in message
    called(*train, "--batch", "auto", cwd=tmp_path)
    settled = json.loads((tmp_path / "run/config.json").read_text())["training"]["batch_size"]
    assert settled in (1, 2, 4)
    resume = "train", "-o", "run", "--resume"
    called(*resume, "--batch", "auto", "--max-steps", 2, cwd=tmp_path)
    assert "--batch-size is 64" in refused(*resume, "--batch", 64, cwd=tmp_path)


def _running(group: int) -> bool:
    """Whether a process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_comparison_goes_on_and_grows(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    begin = "compare", str(folder), *QUICK, "-o", "runs/c", "--arms", "none,channel", "--seeds", "2", "--jobs", "2"
    command = [sys.executable, "-m", "convlstm_cli", *begin, "--max-steps", "3", "--resume"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 180
    while not list((tmp_path / "runs/c").glob("seed-*/*/resume.pt")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait(timeout=30)
    deadline = time.monotonic() + 60
    while _running(process.pid):  # its trainings' processes, which get no signal, notice by themselves
        assert time.monotonic() < deadline
        time.sleep(0.05)

    for option in (["--hidden", "8"], ["--max-steps", "9"], ["--match", "time"], ["--arms", "none,full"]):
        assert option[0] in refused("compare", "-o", "runs/c", "--resume", *option, cwd=tmp_path)
    unfinished = json.loads(called("inspect", "runs/c", "--json", cwd=tmp_path).stdout)
    assert (unfinished["comparison"], unfinished["runs"]) == ("runs/c", 4)
    assert "not finished; go on with" in called("inspect", "runs/c", cwd=tmp_path).stdout
    done = called("compare", "--resume", "--jobs", 1, "--seeds", 3, cwd=tmp_path)
    assert "going on with runs/c" in done.stderr
    assert "next: open runs/c/report.html" in done.stderr
    assert called("inspect", "runs/c", cwd=tmp_path).stdout == done.stdout
    assert json.loads((tmp_path / "runs/c/summary.json").read_text())["seeds"] == [0, 1, 2]
    assert "--seeds" in refused("compare", "-o", "runs/c", "--resume", "--seeds", 2, cwd=tmp_path)
    assert "--device" in refused("compare", "--resume", "--devices", "abacus", cwd=tmp_path)
    assert json.loads((tmp_path / "runs/c/comparison.json").read_text())["settings"]["compare"]["devices"] == []
    assert "--resume" in refused("compare", folder, "-o", "runs/c", cwd=tmp_path, code=1)
