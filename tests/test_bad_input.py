"""Every odd input through every command: the documented exit code, one message that names it, in bounded memory."""

import contextlib
import faulthandler
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import odd_files
import pytest
from helpers import draw_nothing, small_videos
from odd_files import Odd
from typer.testing import CliRunner, Result

from convlstm_cli.cli.app import app
from convlstm_cli.paths import printable
from convlstm_cli.reporting import run_page, scorecard
from convlstm_cli.video.readers import open_video

needs_posix = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs and signals of POSIX")
pytestmark = needs_posix

SMALL = ("--size", "16", "--hidden", "2", "--kernel-size", "1", "--forecaster", "unconditioned", "--head", "sigmoid")
CLIP = ("--input-frames", "2", "--frames", "1")
BUDGET = ("--max-steps", "1", "--epoch-steps", "1")
TO_SPLIT = 9
"""Frames that a single video needs for the three parts of its split."""
SECONDS = 60.0
"""After which a call counts as hanging; the slowest takes about one, the first of all compiles kernels."""
MEMORY = 1.5e9
"""Bytes that a call may take beyond what the process had."""


class Hangs(BaseException):
    """A call takes longer than `SECONDS`; nothing that catches errors may catch it."""


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a trained run and all odd inputs."""
    folder = tmp_path_factory.mktemp("bad-input")
    good = small_videos(folder / "good")
    with pytest.MonkeyPatch.context() as patch:
        draw_nothing(patch)
        assert call(folder, "train", good, *SMALL, *CLIP, *BUDGET, "-o", folder / "run").exit_code == 0
    return folder


@pytest.fixture(scope="module")
def odd(place: Path) -> list[Odd]:
    return odd_files.make(place / "odd")


def call(folder: Path, *arguments: object) -> Result:
    """One call of the command line in this process: no hang, no unexpected error, no more memory than `MEMORY`."""
    before = _reset_peak()
    with contextlib.chdir(folder), _time_limit(arguments):
        result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exception is None or isinstance(result.exception, SystemExit), (arguments, result.exc_info)
    assert "Traceback" not in result.stderr, arguments
    if before is not None:
        assert _status("VmHWM") - before < MEMORY, arguments
    return result


@contextlib.contextmanager
def _time_limit(arguments: object) -> Iterator[None]:
    def end(_number: int, _frame: FrameType | None) -> None:
        raise Hangs(arguments)

    previous = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, SECONDS)
    assert sys.__stderr__ is not None
    faulthandler.dump_traceback_later(2 * SECONDS, exit=True, file=sys.__stderr__)  # for code that sees no signal
    try:
        yield
    except Hangs:
        pytest.fail(f"hangs: {arguments}")
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.setitimer(signal.ITIMER_REAL, 0.0)
        signal.signal(signal.SIGALRM, previous)


def _reset_peak() -> float | None:
    """Starts a new measurement of the peak memory; returns the memory in use now, or None where it is not known."""
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return None
    return _status("VmRSS")


def _status(name: str) -> float:
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name))
    return float(line.split()[1]) * 1024


def refused(result: Result, odd: Odd, arguments: object) -> None:
    assert result.exit_code == 1, (odd, arguments, result.output)
    assert not result.stdout, (odd, arguments)
    message = result.stderr.replace("\n", "\\n").replace("\\n\\n", "\\n")
    assert printable(odd.path.name) in message, (odd, arguments, message)
    assert odd.named in message, (odd, arguments, message)


def inspected(odd: Odd, place: Path) -> int:
    """Frames that `inspect` finds; 0 where it refuses, and says so in the documented way."""
    result = call(place, "inspect", odd.path, "--json")
    if result.exit_code:
        assert odd.expected != "usable", (odd, result.stderr)
        refused(result, odd, "inspect")
        return 0
    found = json.loads(result.stdout)
    assert odd.expected != "refused", (odd, found)
    if odd.expected == "usable":
        assert (found["frames"], found["height"], found["width"]) == (odd.frames, *odd.size), odd
    return int(found["frames"])


def test_there_are_many(odd: list[Odd]) -> None:
    assert len({each.path for each in odd}) == len(odd) >= 60
    assert sum(each.expected == "usable" for each in odd) >= 20


def test_each_is_predicted_or_refused(place: Path, odd: list[Odd]) -> None:
    for number, each in enumerate(odd):
        frames = inspected(each, place)
        output = place / "forecasts" / str(number)
        arguments = "predict", each.path, "-m", place / "run", "-o", output, "--format", "png"
        result = call(place, *arguments)
        if frames < 2:
            refused(result, each if each.expected == "refused" else Odd(each.path, "", "refused"), "predict")
            assert not output.exists()
            continue
        assert result.exit_code == 0, (each, result.stderr)
        [written] = output.glob("*/frame_000001.png")
        assert not list(output.glob("*/.partial*"))
        if each.expected == "usable":
            with open_video(written) as video:
                assert (video.height, video.width) == each.size, each


def test_each_is_trained_on_or_refused(place: Path, odd: list[Odd], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run_page, "write_run_report", lambda _run: None)  # knows no video, and takes most of the time
    for number, each in enumerate(odd):
        output = place / "runs" / str(number)
        result = call(place, "train", each.path, *SMALL, *CLIP, *BUDGET, "-q", "-o", output)
        if each.expected == "usable" and each.frames >= TO_SPLIT:
            assert result.exit_code == 0, (each, result.stderr)
            assert (output / "model.safetensors").is_file()
        elif each.expected != "either" or result.exit_code:
            short = Odd(each.path, "", "refused")
            refused(result, each if each.expected == "refused" else short, "train")
            assert not output.exists()
            if each.expected == "refused":
                refused(call(place, "compare", each.path, *SMALL, *CLIP, "-o", output), each, "compare")


def test_each_is_evaluated_on_or_refused(place: Path, odd: list[Odd], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scorecard, "write_scorecard", lambda _report, folder: folder.mkdir(parents=True))  # pictures
    for number, each in enumerate(odd):
        output = place / "evaluations" / str(number)
        result = call(place, "evaluate", place / "run", each.path, "-q", "--json", "-o", output)
        if each.expected == "usable" and each.frames >= 3:
            assert result.exit_code == 0, (each, result.stderr)
            assert json.loads(result.stdout)["clips"]
        elif each.expected != "either" or result.exit_code:
            refused(result, each if each.expected == "refused" else Odd(each.path, "", "refused"), "evaluate")
            assert not output.exists()


def test_nothing_was_run_or_followed(place: Path, odd: list[Odd]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.setblocking(False)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/"
        playlist = place / "remote.m3u8"
        playlist.write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}part.ts\n#EXT-X-ENDLIST\n")
        refused(call(place, "inspect", playlist), Odd(playlist, "", "refused"), "inspect")
        refused(call(place, "inspect", address), Odd(Path("127.0.0.1"), "", "refused"), "inspect")
        with pytest.raises(BlockingIOError):  # no connection was made
            server.accept()
    assert odd
    assert not list(place.rglob("trapped"))


def test_a_folder_is_used_without_what_is_broken_in_it(place: Path, odd: list[Odd]) -> None:
    folder = place / "mixed"
    shutil.copytree(place / "good", folder)
    bad = [each.path for each in odd if each.path.name in ("text.mp4", "fifo.mp4", "loop.mp4", "bomb.png", "corrupt")]
    for path in bad:
        target = folder / path.name
        if path.is_file() or path.is_symlink() or path.is_fifo():
            target.symlink_to(path)
        else:
            shutil.copytree(path, target)
    named = ("text.mp4", "fifo.mp4", "loop.mp4", "corrupt")  # a lone picture in a folder is no video

    result = call(place, "train", folder, *SMALL, *CLIP, *BUDGET, "-o", place / "from-mixed")
    assert result.exit_code == 0, result.stderr
    assert all(f"not used: {folder / name}: " in result.stderr for name in named)
    record = json.loads((place / "from-mixed" / "config.json").read_text())
    assert {Path(problem["path"]).name for problem in record["data"]["problems"]} == set(named)

    result = call(place, "predict", folder, "-m", place / "run", "-o", place / "of-mixed", "--format", "npy", "--json")
    assert result.exit_code == 1
    outcome = json.loads(result.stdout)
    assert {Path(each["source"]).name for each in outcome["forecasts"]} == {"0.npy", "1.npy", "2.npy"}
    assert {Path(each["source"]).name for each in outcome["failures"]} == set(named)
    assert all(name in result.stderr for name in named)

    result = call(place, "inspect", folder, "--json", "--size", "16", *CLIP)
    assert result.exit_code == 0
    assert {Path(problem["path"]).name for problem in json.loads(result.stdout)["problems"]} == set(named)


def test_a_video_that_is_cut_off_is_used_and_named(place: Path, tmp_path: Path) -> None:
    whole = odd_files._video(tmp_path / "whole.mkv", "lossless", 40, height=64, width=64)
    cut = tmp_path / "cut.mkv"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 2])
    message = f"{cut}: only "
    for arguments in (
        ("train", cut, *SMALL, *CLIP, *BUDGET, "-o", tmp_path / "run"),
        ("predict", cut, "-m", place / "run", "-o", tmp_path / "forecasts"),
        ("evaluate", place / "run", cut, "-o", tmp_path / "evaluation"),
    ):
        result = call(tmp_path, *arguments)
        assert result.exit_code == 0, result.stderr
        assert message in result.stderr, arguments
        assert "of the 40 frames" in result.stderr
    assert message not in call(tmp_path, "predict", cut, "--at", 5, "-m", place / "run", "-o", tmp_path / "at").stderr
    assert "only " not in call(tmp_path, "predict", whole, "-m", place / "run", "-o", tmp_path / "whole").stderr


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read everything")
@pytest.mark.parametrize("command", ["inspect", "predict", "train", "evaluate"])
def test_what_may_not_be_read_is_named(place: Path, tmp_path: Path, command: str) -> None:
    path = tmp_path / "secret.npy"
    shutil.copy(place / "good" / "0.npy", path)
    path.chmod(0)
    arguments = {"evaluate": (place / "run", path), "predict": (path, "-m", place / "run")}
    result = call(tmp_path, command, *arguments.get(command, (path,)))
    refused(result, Odd(path, "", "refused", named="permissions"), command)
