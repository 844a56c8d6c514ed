"""The cache of compiled kernels."""

import ctypes
import threading
import time
from pathlib import Path

import pytest

from convlstm_cli.errors import OutputError
from convlstm_cli.nn import c_kernels
from convlstm_cli.nn.c_kernels import Source


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Source:
    """A kernel that no cache has, where there is a compiler."""
    monkeypatch.setattr(c_kernels, "cache_folder", lambda: tmp_path / "cache")
    file = tmp_path / "three.c"
    file.write_text("int three(void) { return 3; }\n")
    made = Source("three", file, {"three": ()}, results={"three": ctypes.c_int})
    try:
        c_kernels.load(Source("probe", file, {"three": ()}))
    except c_kernels.NotAvailable as reason:
        pytest.skip(str(reason))
    return made


def libraries(tmp_path: Path) -> list[str]:
    return [path.name.partition("-")[0] for path in (tmp_path / "cache" / "kernels").iterdir()]


def test_what_is_compiled_ahead_is_loaded(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, go_on = threading.Event(), threading.Event()
    build = c_kernels._build
    compiled: list[Path] = []

    def slowly(command: list[str], library: Path) -> Path:
        begun.set()
        assert go_on.wait(30)
        if not library.exists():
            compiled.append(library)
        return build(command, library)

    monkeypatch.setattr(c_kernels, "_build", slowly)
    c_kernels.compile_ahead([source])
    assert begun.wait(30)
    assert "three" not in libraries(tmp_path)
    go_on.set()
    assert c_kernels.load(source).three() == 3  # waits, and does not compile it once more
    assert len(compiled) == 1
    c_kernels.compile_ahead([source])
    assert "three" in libraries(tmp_path)


def test_a_kernel_that_is_in_the_cache_is_not_compiled(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    c_kernels.load(source)
    monkeypatch.setattr(threading, "Thread", None)
    c_kernels.compile_ahead([source])


@pytest.mark.parametrize("wrong", ["off", "no compiler"])
def test_nothing_is_compiled_ahead_where_nothing_can_be(
    wrong: str, source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if wrong == "off":
        monkeypatch.setenv("CONVLSTM_KERNEL", "off")
    else:
        monkeypatch.setattr("shutil.which", lambda _name: None)
    c_kernels.compile_ahead([source])
    assert "three" not in libraries(tmp_path)


def test_a_fault_of_what_is_compiled_ahead_is_that_of_loading(source: Source) -> None:
    source.file.write_text("this is no C\n")
    c_kernels.compile_ahead([source])
    with pytest.raises(c_kernels.NotAvailable, match="could not compile it"):
        c_kernels.load(source)


def test_who_wants_a_kernel_that_another_compiles_waits_for_it(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiled: list[Path] = []
    compile_into = c_kernels._compile_into

    def slowly(library: Path, command: list[str]) -> None:
        compiled.append(library)
        time.sleep(0.1)
        compile_into(library, command)

    monkeypatch.setattr(c_kernels, "_compile_into", slowly)
    library, command = tmp_path / "cache" / "kernels" / "three-1.so", c_kernels._command(source)
    # Threads stand for processes: what `_build` waits with holds between both.
    threads = [threading.Thread(target=c_kernels._build, args=(command, library)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert compiled == [library]
    assert library.exists()


def test_a_cache_without_room_is_no_error(source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path) -> None:
        raise OutputError(f"{path}: cannot be written (No space left on device).")

    monkeypatch.setattr(c_kernels, "_compile_into", lambda library, _: full(library))
    c_kernels._compile(threading.Lock(), ["cc"], tmp_path / "three.so")
    with pytest.raises(c_kernels.NotAvailable, match="No space left"):
        c_kernels.load(source)
