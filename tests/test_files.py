import errno
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from convlstm_cli.errors import OutputError
from convlstm_cli.files import (
    OLD,
    PARTIAL,
    REPLACED,
    creating_folder,
    replacing,
    replacing_folder,
    reserve,
    shown,
    sweep,
    write_text,
    writing,
)

pytestmark = pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")


def killed(work: Callable[[], None]) -> None:
    """Calls `work`, which has to kill its process, in a child."""
    pid = os.fork()
    if not pid:
        try:
            signal.alarm(60)
            work()
        finally:
            os._exit(0)
    assert os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def hidden(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob(".*")]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    write_text(path, "old")

    def cut_off() -> None:
        with replacing(path) as partial:
            partial.write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        cut_off()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_the_suffix_is_kept_for_the_writer(tmp_path: Path) -> None:
    with replacing(tmp_path / "a.webm") as partial:
        assert partial.suffix == ".webm"
        partial.write_bytes(b"x")


def test_what_the_system_refuses_names_the_file(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file.a\.txt"):
        write_text(tmp_path / "file" / "a.txt", "below a file")


def test_a_full_disk_names_the_file() -> None:
    with pytest.raises(OutputError, match="/dev/full"), replacing(Path("/dev/full/x")) as partial:
        partial.write_text("x")


def test_only_our_own_folder_is_replaced(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    for content in ("one", "two"):
        with replacing_folder(folder, "marker") as partial:
            (partial / "marker").write_text(content)
            (partial / content).write_text("")
    assert sorted(path.name for path in folder.iterdir()) == ["marker", "two"]

    foreign = tmp_path / "holiday"
    foreign.mkdir()
    (foreign / "photo").write_text("dear")
    with pytest.raises(OutputError, match="holiday"), replacing_folder(foreign, "marker"):
        pass
    assert (foreign / "photo").read_text() == "dear"


def test_a_failed_folder_leaves_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    with replacing_folder(folder, "marker") as partial:
        (partial / "marker").write_text("old")

    def cut_off() -> None:
        with replacing_folder(folder, "marker") as partial:
            (partial / "marker").write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        cut_off()
    assert (folder / "marker").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_stop_between_the_two_renamings_keeps_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "out"
    with replacing_folder(folder, "marker") as partial:
        (partial / "marker").write_text("old")
    rename = Path.rename

    def interrupted(self: Path, target: Path) -> Path:
        if target == folder and self.name.startswith(PARTIAL):
            raise KeyboardInterrupt
        return rename(self, target)

    def again() -> None:
        with replacing_folder(folder, "marker") as partial:
            (partial / "marker").write_text("new")

    monkeypatch.setattr(Path, "rename", interrupted)
    with pytest.raises(KeyboardInterrupt):
        again()
    assert (folder / "marker").read_text() == "old"
    assert list(tmp_path.iterdir()) == [folder]


def test_a_new_folder_is_whole_or_not_there(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "out"
    with creating_folder(folder) as partial:
        (partial / "file").write_text("x")
        assert not folder.exists()
    assert [path.name for path in folder.iterdir()] == ["file"]
    with pytest.raises(OutputError, match="is there already"), creating_folder(folder):
        pass

    def cut_off() -> None:
        with creating_folder(tmp_path / "deep" / "other") as partial:
            (partial / "file").write_text("half")
            raise RuntimeError("power cut")

    with pytest.raises(RuntimeError, match="power cut"):
        cut_off()
    assert list(folder.parent.iterdir()) == [folder]


def test_a_new_folder_does_not_replace_what_came_meanwhile(tmp_path: Path) -> None:
    folder = tmp_path / "out"

    def too_late() -> None:
        with creating_folder(folder):
            folder.mkdir()
            (folder / "theirs").write_text("x")

    with pytest.raises(OutputError, match="out"):
        too_late()
    assert [path.name for path in folder.iterdir()] == ["theirs"]


def test_room_is_reserved_before_a_file_is_mapped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reserve(tmp_path / "a", 5000)
    assert (tmp_path / "a").read_bytes() == bytes(5000)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "posix_fallocate", full, raising=False)
    with pytest.raises(OutputError, match="No space left"):
        reserve(tmp_path / "b", 5000)
    monkeypatch.delattr(os, "posix_fallocate")
    reserve(tmp_path / "c", 5000)
    assert (tmp_path / "c").read_bytes() == bytes(5000)


def test_what_a_kill_left_is_swept_and_what_is_being_written_is_not(tmp_path: Path) -> None:
    def write_half() -> None:
        with replacing(tmp_path / "deep" / "a.txt") as partial, creating_folder(tmp_path / "b") as folder:
            partial.write_text("half")
            (folder / "c").write_text("half")
            kill()

    killed(write_half)
    assert len(hidden(tmp_path)) == 3  # and the lock of b, which is free
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["deep"]
    (tmp_path / ".lock").write_text("process 17 on somewhere\n")
    sweep(tmp_path)
    assert hidden(tmp_path / "deep")
    assert hidden(tmp_path)[0] == ".lock"
    sweep(tmp_path, below=True)
    assert not hidden(tmp_path)

    with replacing(tmp_path / "deep" / "a.txt") as partial, creating_folder(tmp_path / "b") as folder:
        partial.write_text("whole")
        (folder / "c").write_text("whole")
        sweep(tmp_path, below=True)
    assert (tmp_path / "deep" / "a.txt").read_text() == (tmp_path / "b" / "c").read_text() == "whole"
    assert not hidden(tmp_path)


def test_what_another_host_left_is_swept_after_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write_half() -> None:
        with replacing(tmp_path / "a.txt"):
            kill()

    with monkeypatch.context() as there:
        there.setattr(socket, "gethostname", lambda: "elsewhere")
        killed(write_half)
    (tmp_path / f"{PARTIAL}000000-111111-folder").mkdir()
    (tmp_path / f"{PARTIAL}000000-111111-folder" / "new").write_text("")
    left = sorted(tmp_path.iterdir())
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == left
    for path in tmp_path.iterdir():
        os.utime(path, (time.time() - 2 * OLD,) * 2)
    sweep(tmp_path)
    assert hidden(tmp_path) == [f"{PARTIAL}000000-111111-folder"]  # something in it is new


def test_what_is_only_called_alike_is_left(tmp_path: Path) -> None:
    for name in (f"{PARTIAL}notes.txt", f"{REPLACED}old", ".locked-diary", ".lock"):
        (tmp_path / name).write_text("dear")
        os.utime(tmp_path / name, (time.time() - 2 * OLD,) * 2)
    sweep(tmp_path, below=True)
    assert len(hidden(tmp_path)) == 4


@pytest.mark.parametrize("renamed", [1, 2])
def test_a_kill_at_a_renaming_of_a_replaced_folder_is_made_good(tmp_path: Path, renamed: int) -> None:
    folder = tmp_path / "out"

    def write(content: str) -> None:
        with replacing_folder(folder, "marker") as partial:
            (partial / "marker").write_text(content)

    def write_half() -> None:
        rename, names = Path.rename, iter(range(1, 9))

        def renaming(self: Path, target: Path) -> Path:
            moved = rename(self, target)
            if next(names) == renamed:
                kill()
            return moved

        Path.rename = renaming  # type: ignore[method-assign,assignment]
        write("new")

    write("old")
    killed(write_half)
    assert folder.exists() == (renamed == 2)
    assert any(name.startswith(REPLACED) for name in hidden(tmp_path))
    sweep(tmp_path)
    assert (folder / "marker").read_text() == ("old" if renamed == 1 else "new")
    assert list(tmp_path.iterdir()) == [folder]


def test_messages_name_what_will_be_there(tmp_path: Path) -> None:
    def fail() -> None:
        with creating_folder(tmp_path / "out") as partial:
            assert shown(partial / "file") == tmp_path / "out" / "file"
            (partial / "file").write_text("x")
            write_text(partial / "file" / "a.txt", "below a file")

    with pytest.raises(OutputError, match=rf"^{tmp_path}/out/file/a\.txt: cannot be written"):
        fail()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("number", "remedy"),
    [
        (errno.ENOSPC, "free some space or choose another -o"),
        (errno.EROFS, "choose another -o, or change the permissions"),
        (errno.ENOTDIR, "a file is where a folder has to be made"),
    ],
)
def test_a_write_that_is_refused_says_what_helps(number: int, remedy: str) -> None:
    reason = os.strerror(number)
    with pytest.raises(OutputError, match=rf"^there: cannot be written \({reason}\); {remedy}"), writing(Path("there")):
        raise OSError(number, reason)
