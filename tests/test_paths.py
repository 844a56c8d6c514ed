import shlex
from pathlib import Path

import pytest

from convlstm_cli.paths import nearest, numbered, printable, quoted, resolved, unique


@pytest.mark.parametrize(
    ("name", "expected"),
    [("ünï 视频.mkv", "ünï 视频.mkv"), ("a\nb", "a\\nb"), ("\x1b[2J", "\\x1b[2J"), ("\udcff", "\\udcff")],
)
def test_names_are_made_printable(name: str, expected: str) -> None:
    assert printable(name) == expected
    printable(name).encode()


def test_a_path_is_resolved_as_the_library_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "other").symlink_to(tmp_path / "a" / "file")
    monkeypatch.chdir(tmp_path / "a" / "b")
    names = (
        ".",
        "..",
        "../file",
        "../other",
        "../../link/file",
        "../../link",
        "nowhere",
        str(tmp_path / "link" / "b" / ".."),
    )
    for path in map(Path, names):
        assert resolved(path) == path.resolve()


def test_taken_names_are_numbered(tmp_path: Path) -> None:
    taken = {"a", "a-2", "b-2"}
    assert [unique(name, taken.__contains__) for name in ("a", "b", "c")] == ["a-3", "b", "c"]
    (tmp_path / "run-1").mkdir()
    assert numbered(tmp_path, "run") == tmp_path / "run-2"
    assert numbered(tmp_path, "other") == tmp_path / "other-1"


def test_a_path_in_a_command_to_type_is_quoted() -> None:
    assert shlex.split(f"convlstm predict -m {quoted(Path('my runs/1'))}")[-1] == "my runs/1"
    assert quoted(Path("runs/1")) == "runs/1"


@pytest.mark.parametrize(
    ("gone", "meant"),
    [
        ("videos/radr.nc", "videos/radar.nc"),
        ("vidoes/radar.nc", "videos/radar.nc"),
        ("vidoes/other.nc", None),
        ("zzz", None),
        ("gone/further/radar.nc", None),
    ],
)
def test_a_path_that_is_spelt_a_little_differently_is_found(gone: str, meant: str | None, tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    (tmp_path / "videos" / "radar.nc").touch()
    assert nearest(tmp_path / gone) == (None if meant is None else tmp_path / meant)
