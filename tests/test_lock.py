import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from convlstm_cli import lock
from convlstm_cli.errors import OutputError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no such locks")

HOLD = """
import sys
from pathlib import Path
from convlstm_cli import lock
with lock.holding(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def hold() -> Callable[[Path], subprocess.Popen[str]]:
    """Starts a process that holds a folder until its standard input ends."""

    def start(folder: Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-c", HOLD, str(folder)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        return process

    return start


def end(process: subprocess.Popen[str]) -> None:
    process.communicate("")
    assert process.returncode == 0


def test_a_second_process_is_refused_with_the_first_ones_id(
    tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]]
) -> None:
    folder = tmp_path / "runs" / "a"
    first = hold(folder)
    said = rf"^{folder}: process {first.pid} on {socket.gethostname()} is working on it; wait"
    for _ in range(2):  # to be refused changes nothing
        with pytest.raises(OutputError, match=said), lock.holding(folder):
            pass
    end(first)
    with lock.holding(folder):
        assert (folder / lock.LOCK).read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"


def test_a_killed_process_leaves_no_lock(tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]]) -> None:
    folder = tmp_path / "run"
    first = hold(folder)
    first.send_signal(signal.SIGKILL)
    first.communicate()
    assert (folder / lock.LOCK).exists()
    with lock.holding(folder):
        (folder / "file").write_text("x")
    assert [path.name for path in folder.iterdir()] == ["file"]


def test_a_folder_that_stays_empty_is_not_left(tmp_path: Path) -> None:
    with lock.holding(tmp_path / "new"):
        assert (tmp_path / "new").is_dir()
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    with lock.holding(tmp_path / "old"):
        pass
    assert (tmp_path / "old").exists()


def test_a_name_is_held_beside_what_will_have_it(tmp_path: Path) -> None:
    with lock.holding_name(tmp_path / "out"), lock.holding_name(tmp_path / "other"):
        said = f"{tmp_path / 'out'}: process {os.getpid()} on"
        with pytest.raises(OutputError, match=said), lock.holding_name(tmp_path / "out"):
            pass
    assert not list(tmp_path.iterdir())


def test_whoever_still_saves_is_waited_for(
    tmp_path: Path, hold: Callable[[Path], subprocess.Popen[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    lock.wait_for(tmp_path / "nowhere", 60)
    first = hold(tmp_path / "run")
    lock.wait_for(tmp_path / "run", 0.01)
    assert first.poll() is None
    looks = []

    def look(_: float) -> None:
        looks.append(first.poll())
        end(first)

    monkeypatch.setattr("time.sleep", look)
    lock.wait_for(tmp_path / "run", 60)
    assert looks == [None]


def test_without_locks_nothing_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*_: object) -> None:
        raise OSError("no locks here")

    monkeypatch.setattr("fcntl.flock", missing)
    with lock.holding(tmp_path), lock.held(tmp_path) as held:
        assert held is None
        with lock.holding(tmp_path):
            pass


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "file" / "run"):
        with pytest.raises(OutputError, match=f"{folder}: cannot be written"), lock.holding(folder):
            pass


def test_a_link_in_the_place_of_the_lock_is_not_written_through(tmp_path: Path) -> None:
    dear = tmp_path / "dear.txt"
    dear.write_text("dear")
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / lock.LOCK).symlink_to(dear)
    with pytest.raises(OutputError, match="cannot be written"), lock.holding(tmp_path / "run"):
        pass
    assert dear.read_text() == "dear"


def test_a_lock_that_was_moved_away_takes_no_other_with_it(tmp_path: Path) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    with lock.holding(first):
        first.rename(second)
        first.mkdir()
        (first / lock.LOCK).write_text("of another process")
    assert (first / lock.LOCK).exists()
