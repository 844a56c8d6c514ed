"""Errors become one message and an exit code."""

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from calls import called, convlstm, refused
from typer.testing import CliRunner

from convlstm_cli import __main__, __version__, evaluate, export
from convlstm_cli.cli import app
from convlstm_cli.comparing.recorded import compare_runs
from convlstm_cli.errors import InputError, Interrupted, RemoteProcessError, UsageError
from convlstm_cli.runs.run import Run


def test_version(tmp_path: Path) -> None:
    assert called("--version", cwd=tmp_path).stdout.strip() == f"convlstm {__version__}"


def test_an_encoding_that_lacks_letters_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.TextIOWrapper(io.BytesIO(), "ascii")
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stderr", None)  # closed
    monkeypatch.setattr(signal, "signal", lambda *_: None)
    monkeypatch.setattr(app, "app", lambda prog_name: shown.write(f"{prog_name} \N{GREEK SMALL LETTER SIGMA}"))
    app.main()
    shown.seek(0)
    assert shown.read() == r"convlstm \u03c3"


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"], ["--version"], ["explain"]])
def test_output_that_nobody_reads_ends_a_command_quietly(arguments: list[str], unbuffered: str) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-m", "convlstm_cli", *arguments],
        stdout=writing,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (app.READER_ENDED, b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows deletes no working folder")
@pytest.mark.parametrize("arguments", [[name] for name in app.COMMANDS] + [["predict", "x.mp4", "-m", "pretrained"]])
def test_a_working_folder_that_was_deleted_is_one_message(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    inputs = [] if arguments[0] in ("info", "explain") or len(arguments) > 1 else [str(tmp_path)]
    result = CliRunner().invoke(app.app, [*arguments, *inputs])
    assert result.exit_code == 1
    assert result.stderr.count("working folder is not there any more") == 1
    assert not result.stdout


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
        (["predict", "video.mp4", "-m", "nowhere"], 1, ["nowhere"]),
        (["predict"], 2, ["INPUT"]),
        (["predict", "x.mp4", "--format", "bmp"], 2, ["--format"]),
        (["predict", "x.mp4", "--shard", "4/4"], 2, ["--shard", "from 0", "0/4 to 3/4"]),
        (["predict", "x.mp4", "--tile", "64"], 2, ["--tile", "--native-size"]),
        (["predict", "x.mp4", "--ensemble", "a", "-m", "b"], 2, ["-m and --ensemble"]),
        (["predict", "x.mp4", "--ensemble", "nowhere"], 1, ["nowhere"]),
        (["compare"], 2, ["FOLDER"]),
        (["compare", ".", "--arms", "none"], 2, ["two"]),
        (["compare", ".", "--arms", "none,some"], 2, ["--arms", "some is no run"]),
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
        (["trian"], 2, ["trian", "train"]),
    ],
)
def test_wrong_use_is_one_message(arguments: list[str], code: int, words: list[str], tmp_path: Path) -> None:
    message = refused(*arguments, cwd=tmp_path, code=code)
    assert all(word in message for word in words), message


def test_wrong_use_ends_a_process_likewise(tmp_path: Path) -> None:
    assert "nowhere" in convlstm("predict", "video.mp4", "-m", "nowhere", cwd=tmp_path, check=1).stderr


@pytest.mark.parametrize(
    ("error", "code", "first", "second"),
    [
        (UsageError("wrong"), 2, "error: wrong", ""),  # the same in all processes
        (InputError("broken"), 1, "error: broken", "error: process 1: broken"),
        (RemoteProcessError("elsewhere", 5), 5, "", ""),  # the process that failed has shown the message
        (KeyboardInterrupt(), 130, "error: interrupted", "error: interrupted"),
        (MemoryError(), 1, "error: out of memory", "error: out of memory"),
        (PermissionError(13, "Permission denied", "a.txt"), 1, "error: a.txt: Permission denied", "error: a.txt"),
    ],
)
def test_each_kind_of_error_has_its_exit_code(
    error: BaseException, code: int, first: str, second: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setattr("convlstm_cli.cli.facts.gather", fail)
    assert refused("info", cwd=tmp_path, code=code).startswith(first)
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    message = refused("info", cwd=tmp_path, code=code)
    assert message.startswith(second)
    assert bool(message) == bool(second)


def test_work_of_one_process_is_refused_in_several(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The message comes from the first process only, since all have the same command line."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    for command in ("compare", "evaluate", "export"):
        monkeypatch.setenv("RANK", "0")
        assert f"{command} works in one process" in refused(command, ".", cwd=tmp_path)
        monkeypatch.setenv("RANK", "1")
        assert not refused(command, ".", cwd=tmp_path)
    run = Run(tmp_path, {})
    with pytest.raises(UsageError, match="evaluate works in one process"):
        evaluate.evaluate([run])
    with pytest.raises(UsageError, match="export works in one process"):
        export.export(run, tmp_path / "export")
    with pytest.raises(UsageError, match="compare works in one process"):
        compare_runs([run], tmp_path / "comparison")


def test_each_command_is_made_once(tmp_path: Path) -> None:
    assert app.command_of("info") is app.command_of("info")
    assert json.loads(called("explain", "--json", cwd=tmp_path).stdout) == json.loads(
        called("explain", "--json", cwd=tmp_path).stdout
    )


def test_threads_that_wait_spin_briefly_unless_asked_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app, "app", lambda **_: None)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    monkeypatch.setenv("GOMP_SPINCOUNT", "5")
    app.main()
    assert os.environ["GOMP_SPINCOUNT"] == "5"
    monkeypatch.delenv("GOMP_SPINCOUNT")
    app.main()
    assert os.environ["GOMP_SPINCOUNT"] == "10000"


def test_an_interruption_while_modules_are_imported_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Interrupting(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    monkeypatch.setitem(sys.modules, "convlstm_cli.cli.app", Interrupting("app"))
    monkeypatch.delattr("convlstm_cli.cli.app")
    with pytest.raises(SystemExit) as ended:
        __main__.main()
    assert ended.value.code == __main__.INTERRUPTED == Interrupted.exit_code
    assert capsys.readouterr().err == "error: interrupted; no file is left half written.\n"
