import errno
import os
from pathlib import Path

import pytest

from convlstm_cli.errors import OutputError
from convlstm_cli.files import creating_folder, printable, replacing, replacing_folder, reserve, write_text


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
        if target == folder and "old" not in self.name:
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


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ünï 视频.mkv", "ünï 视频.mkv"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("\udcff", "\\udcff")],
)
def test_names_are_made_printable(name: str, expected: str) -> None:
    assert printable(name) == expected
    printable(name).encode()
