"""The command line as a user meets it: in a process of its own."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from helpers import TINY, moving_square
from PIL import Image
from typer.testing import CliRunner, Result

from convlstm_cli.cli.app import app

COMMANDS = ("train", "predict", "compare", "evaluate", "inspect", "explain", "export", "info")


def convlstm(*arguments: object, cwd: Path, check: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs `python -m convlstm_cli`; asserts its exit code, and that no traceback was shown."""
    done = subprocess.run(
        [sys.executable, "-m", "convlstm_cli", *map(str, arguments)],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "COLUMNS": "200", "NO_COLOR": "1"},
    )
    assert done.returncode == check, done.stderr
    assert "Traceback" not in done.stderr
    return done


def called(*arguments: object, cwd: Path, code: int = 0) -> Result:
    """As `convlstm`, in this very process, which saves the seconds that torch takes to load."""
    with contextlib.chdir(cwd):
        result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    assert result.exit_code == code, result.stderr
    return result


def refused(*arguments: object, cwd: Path, code: int = 2) -> str:
    """What is told of a wrong use, which has to end with this exit code."""
    result = called(*arguments, cwd=cwd, code=code)
    assert not result.stdout
    return result.stderr


@pytest.mark.parametrize("command", [(), *((name,) for name in COMMANDS)])
def test_help_imports_neither_torch_nor_opencv(command: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        "import sys; sys.argv = ['convlstm', *sys.argv[1:]]\n"
        "from convlstm_cli.cli.app import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'torch', 'cv2', 'matplotlib', 'torchmetrics', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *command, "--help"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Usage" in done.stdout


def test_version(tmp_path: Path) -> None:
    from convlstm_cli import __version__

    assert convlstm("--version", cwd=tmp_path).stdout.strip() == f"convlstm {__version__}"


def test_from_a_folder_to_frames_on_disk(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    done = convlstm("train", folder, *TINY, "--max-steps", 4, cwd=tmp_path)
    assert "times that of copying the last frame" in done.stdout
    assert "runs/videos-1" in done.stderr
    assert (tmp_path / "runs/videos-1/report.html").exists()

    done = convlstm("predict", folder / "square0.npy", "--at", 10, cwd=tmp_path)
    assert "using the newest run, runs/videos-1" in done.stderr
    assert "after frame 10" in done.stdout
    assert (tmp_path / "forecasts/videos-1/square0/frame_000003.png").exists()

    done = convlstm("evaluate", "runs/videos-1", "--thresholds", "0.2,0.5", cwd=tmp_path)
    assert "against" in done.stdout
    assert "optical flow" in done.stdout
    assert "runs/videos-1/evaluation-1" in done.stderr
    assert (tmp_path / "runs/videos-1/evaluation-1/scores.csv").exists()
    shutil.copytree(tmp_path / "runs/videos-1", tmp_path / "twin")
    done = convlstm("evaluate", "runs/videos-1", "twin", folder, "-o", "scored", "--json", cwd=tmp_path)
    assert "5 of 6 videos are left out" in done.stderr
    found = json.loads(done.stdout)
    assert found == json.loads((tmp_path / "scored/evaluation.json").read_text())
    assert found["spread_skill"]["members"] == 2

    found = json.loads(convlstm("inspect", "runs/videos-1", "--json", cwd=tmp_path).stdout)
    assert found["epochs"] == 1
    assert "test MSE" not in convlstm("inspect", "runs/videos-1", cwd=tmp_path).stderr


def test_json_is_all_that_stdout_gets(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    trained = json.loads(called("train", folder, *TINY, "--max-steps", 2, "--json", cwd=tmp_path).stdout)
    assert trained["model"]["clips"] > 0
    forecast = json.loads(called("predict", folder / "square1.npy", "--json", cwd=tmp_path).stdout)
    assert forecast["forecasts"][0]["last_input_frame"] == 14
    few = "--arms", "channel,none", "--seeds", 1, "--max-steps", 2
    compared = json.loads(called("compare", folder, *TINY, *few, "--json", cwd=tmp_path).stdout)
    assert [arm["name"] for arm in compared["arms"]] == ["channel", "none"]
    assert json.loads(called("inspect", "runs/compare-videos-1", "--json", cwd=tmp_path).stdout) == compared
    members = "runs/videos-1", "runs/compare-videos-1"
    arguments = folder / "square1.npy", "--at", 9, "--ensemble", *members, "--native-size", "--json"
    together = json.loads(called("predict", *arguments, cwd=tmp_path).stdout)
    assert together["members"] == [
        "runs/videos-1",
        "runs/compare-videos-1/seed-0/channel",
        "runs/compare-videos-1/seed-0/none",
    ]
    assert together["forecasts"][0]["scores"]["spread_skill"]["mean"] > 0
    assert together["forecasts"][0]["folder"] == "forecasts/videos-1+compare-videos-1/square1"
    assert json.loads(called("inspect", folder, *TINY[:2], "--json", "--frames", 3, cwd=tmp_path).stdout)["videos"]
    assert json.loads(called("explain", "--json", cwd=tmp_path).stdout)
    assert json.loads(called("info", "--json", cwd=tmp_path).stdout)["torch"]


def test_tables_for_people(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    (folder / "broken.mp4").write_bytes(b"no video")
    for name in ("poster.png", "cover.png"):  # two images among videos do not hide the videos
        Image.new("L", (8, 8)).save(folder / name)
    arguments = "compare", folder, *TINY, "--arms", "none,channel", "--seeds", 2, "--max-steps", 2
    compared = called(*arguments, cwd=tmp_path)
    assert "channel" in compared.stdout
    assert "broken.mp4" in compared.stderr
    assert "channel, seed 1: 2 steps" in compared.stderr
    assert "next: open runs/compare-videos-1/report.html" in compared.stderr
    assert called("inspect", "runs/compare-videos-1", cwd=tmp_path).stdout == compared.stdout
    told = called("evaluate", "runs/compare-videos-1", cwd=tmp_path)  # of all its runs together
    assert "spread of 4 members" in told.stdout
    inspected = called("inspect", folder, "--size", 32, "--input-frames", 4, "--frames", 3, cwd=tmp_path)
    assert "6 usable videos" in inspected.stdout
    assert "broken.mp4" in inspected.stdout
    assert "14" in called("inspect", folder / "square0.npy", cwd=tmp_path).stdout
    assert "W_ci" in called("explain", "--peephole", "full", cwd=tmp_path).stdout
    assert "torch" in called("info", cwd=tmp_path).stdout


def test_a_dry_run_trains_nothing(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    done = called("train", make_folder(), *TINY, "--dry-run", cwd=tmp_path)
    assert "expected memory" in done.stdout
    assert not (tmp_path / "runs").exists()


def test_a_batch_that_fits_is_found_and_settled(
    make_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_folder()
    told = refused("train", folder, "-o", "run", *TINY, "--batch", "none", cwd=tmp_path)
    assert "--batch-size is 'none'; give auto, or a number" in told
    monkeypatch.setattr("convlstm_cli.compute.device.free_memory", lambda _device: 2 * 10**6)
    train = "train", folder, "-o", "run", *TINY, "--max-steps", 1, "--device", "cpu"
    told = refused(*train, "--batch-size", 64, cwd=tmp_path, code=1)
    assert "--batch-size 64 with frames of 32x32 takes more memory than there is (2.0 MB are free)" in told
    with contextlib.chdir(tmp_path):
        done = CliRunner().invoke(app, [*map(str, train), "--batch", "auto"])
        assert done.exit_code == 0, done.stderr
        settled = json.loads(Path("run/config.json").read_text())["training"]["batch_size"]
        assert settled in (1, 2, 4)
        again = CliRunner().invoke(app, ["train", "-o", "run", "--resume", "--batch", "auto", "--max-steps", "2"])
        assert again.exit_code == 0, again.stderr
    assert "--batch-size is 64" in refused("train", "-o", "run", "--resume", "--batch", 64, cwd=tmp_path)


def test_commands_of_one_process_refuse_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told by the first process only, since all have the same command line."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for command in ("compare", "evaluate"):
        monkeypatch.setenv("RANK", "0")
        assert f"{command} works in one process" in refused(command, ".", cwd=tmp_path)
        monkeypatch.setenv("RANK", "1")
        assert not refused(command, ".", cwd=tmp_path)


def test_an_interrupted_training_goes_on(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    command = [sys.executable, "-m", "convlstm_cli", "train", str(folder), *TINY, "-o", "runs/cut", "--epochs", "400"]
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

    done = convlstm("train", folder, *TINY, "-o", "runs/cut", "--epochs", 1, "--resume", cwd=tmp_path)
    assert "going on with runs/cut" in done.stderr
    assert (tmp_path / "runs/cut/test.json").exists()


def test_resume_refuses_what_would_make_another_run(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    called("train", folder, *TINY, "-o", "runs/a", "--max-steps", 1, cwd=tmp_path)
    for option in (["--hidden", "8"], ["--size", "48"], ["--learning-rate", "1"], ["--fit", "crop"]):
        assert option[0] in refused("train", "-o", "runs/a", "--resume", *option, cwd=tmp_path)
    called("train", "-o", "runs/a", "--resume", "--hidden", "4", "--max-steps", "2", cwd=tmp_path)


def _running(group: int) -> bool:
    """Whether a process of this group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_killed_comparison_goes_on_and_grows(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    begin = "compare", str(folder), *TINY, "-o", "runs/c", "--arms", "none,channel", "--seeds", "2", "--jobs", "2"
    command = [sys.executable, "-m", "convlstm_cli", *begin, "--max-steps", "3", "--resume"]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL, start_new_session=True)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "runs/c").glob("seed-*/*/resume.pt")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.kill()
    process.wait(timeout=30)
    deadline = time.monotonic() + 60
    while _running(process.pid):  # its trainings' processes, which nobody tells, notice by themselves
        assert time.monotonic() < deadline
        time.sleep(0.05)

    for option in (["--hidden", "8"], ["--max-steps", "9"], ["--match", "time"], ["--arms", "none,full"]):
        assert option[0] in refused("compare", "-o", "runs/c", "--resume", *option, cwd=tmp_path)
    done = convlstm("compare", "--resume", "--jobs", 1, "--seeds", 3, "--json", cwd=tmp_path)
    assert "going on with runs/c" in done.stderr
    assert json.loads(done.stdout)["seeds"] == [0, 1, 2]
    assert "--seeds" in refused("compare", "-o", "runs/c", "--resume", "--seeds", 2, cwd=tmp_path)
    assert "--device" in refused("compare", "--resume", "--devices", "abacus", cwd=tmp_path)
    assert json.loads((tmp_path / "runs/c/comparison.json").read_text())["settings"]["compare"]["devices"] == []
    assert "--resume" in refused("compare", folder, "-o", "runs/c", cwd=tmp_path, code=1)


def test_recorded_runs_are_compared_or_trained_anew(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    for name, rate in (("slow", "1e-4"), ("fast", "1e-2")):
        arguments = "train", folder, *TINY, "-o", f"runs/{name}", "--max-steps", 2, "--learning-rate", rate
        called(*arguments, cwd=tmp_path)
    found = json.loads(called("compare", "runs/slow", "runs/fast", "--json", cwd=tmp_path).stdout)
    assert found["kind"] == "recorded"
    assert [arm["differs"] for arm in found["arms"]] == [{"learning_rate": 1e-4}, {"learning_rate": 1e-2}]
    assert found["folder"] == "runs/compare-slow-1"
    assert "--epochs" in refused("compare", "runs/slow", "runs/fast", "--epochs", 3, cwd=tmp_path)
    assert str(folder) in refused("compare", "runs/slow", folder, cwd=tmp_path)

    anew = "compare", folder, "--arms", "runs/slow,runs/fast"
    found = json.loads(called(*anew, "--max-steps", 3, "--seeds", 1, "--json", cwd=tmp_path).stdout)
    assert [(arm["name"], arm["steps"]) for arm in found["arms"]] == [("slow", 3), ("fast", 3)]
    assert "--hidden" in refused(*anew, "--hidden", 8, cwd=tmp_path)
    assert "channel is no run" in refused("compare", folder, "--arms", "runs/slow,channel", cwd=tmp_path)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["train"], 2, ["FOLDER"]),
        (["train", "nowhere"], 1, ["nowhere"]),
        (["train", ".", "--epochs", "0"], 2, ["--epochs"]),
        (["train", ".", "--max-time", "soon"], 2, ["--max-time"]),
        (["train", ".", "--size", "huge"], 2, ["--size"]),
        (["train", ".", "--size", "50"], 2, ["--size", "--patch-size"]),
        (["train", ".", "--hidden", "a,b"], 2, ["--hidden"]),
        (["train", ".", "--kernel-size", "4"], 2, ["--kernel-size", "odd"]),
        (["train", ".", "--peephole", "some"], 2, ["--peephole"]),
        (["train", ".", "--device", "abacus"], 2, ["--device"]),
        (["train", ".", "--no-such-option"], 2, ["--no-such-option"]),
        (["train", "--resume"], 2, ["runs"]),
        (["train", ".", "--resume", "--dry-run"], 2, ["--dry-run"]),
        (["train", ".", "--loss", "bce", "--head", "residual"], 2, ["--head", "--loss"]),
        (["train", ".", "--preset", "huge"], 2, ["--preset"]),
        (["predict", "video.mp4"], 2, ["-m"]),
        (["predict", "video.mp4", "-m", "nowhere"], 1, ["nowhere"]),
        (["predict"], 2, ["INPUT"]),
        (["predict", "x.mp4", "--format", "bmp"], 2, ["--format"]),
        (["predict", "x.mp4", "--shard", "4/4"], 2, ["--shard", "from 0", "0/4 to 3/4"]),
        (["predict", "x.mp4", "--tile", "64"], 2, ["--tile", "--native-size"]),
        (["predict", "x.mp4", "--ensemble", "a", "-m", "b"], 2, ["-m and --ensemble"]),
        (["predict", "x.mp4", "--ensemble", "nowhere"], 1, ["nowhere"]),
        (["compare"], 2, ["FOLDER"]),
        (["compare", ".", "--arms", "none"], 2, ["two"]),
        (["compare", ".", "--arms", "none,some"], 2, ["--arms"]),
        (["compare", ".", "--seeds", "0"], 2, ["--seeds"]),
        (["compare", ".", "--match", "luck"], 2, ["--match"]),
        (["compare", ".", "--jobs", "0"], 2, ["--jobs"]),
        (["compare", ".", "--devices", "abacus"], 2, ["--device"]),
        (["compare", "--resume"], 2, ["no comparison"]),
        (["evaluate"], 2, ["RUN"]),
        (["evaluate", "nowhere"], 1, ["nowhere"]),
        (["evaluate", ".", "--thresholds", "high"], 2, ["--thresholds"]),
        (["inspect", "nowhere.mp4"], 1, ["nowhere.mp4"]),
        (["explain", "--kernel-size", "2"], 2, ["--kernel-size"]),
        (["frobnicate"], 2, ["frobnicate"]),
    ],
)
def test_wrong_use_is_one_message(arguments: list[str], code: int, words: list[str], tmp_path: Path) -> None:
    told = refused(*arguments, cwd=tmp_path, code=code)
    assert all(word in told for word in words), told


def test_wrong_use_ends_a_process_likewise(tmp_path: Path) -> None:
    assert "nowhere" in convlstm("predict", "video.mp4", "-m", "nowhere", cwd=tmp_path, check=1).stderr


def test_a_failed_input_exits_1_after_the_others(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    called("train", folder, *TINY, "--max-steps", 1, "-q", cwd=tmp_path)
    np.save(folder / "still.npy", moving_square(1, seed=0))
    done = called("predict", folder / "still.npy", folder / "square2.npy", cwd=tmp_path, code=1)
    assert "still.npy" in done.stderr
    assert (tmp_path / "forecasts/videos-1/square2/frame_000001.png").exists()


def test_quiet_is_quiet(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    done = called("train", make_folder(), *TINY, "--max-steps", 1, "-q", "--json", cwd=tmp_path)
    assert done.stderr == ""
