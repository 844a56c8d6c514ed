"""The imports of scripts/: no circles, no script imports another, and the package imports none of them."""

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPTS = ROOT / "scripts"
FILES = sorted(SCRIPTS.rglob("*.py"))


def imported(path: Path) -> Iterator[str]:
    """The dotted names that a file imports, also inside functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{name.name}" for name in node.names)


def imported_files(path: Path) -> set[Path]:
    """The files of scripts/ that a file imports. Python finds them beside the script that runs, and in scripts/."""
    found = set()
    for name in imported(path):
        parts = name.split(".")
        places = [base.joinpath(*parts[:length]) for base in (path.parent, SCRIPTS) for length in (len(parts), 1, 2)]
        candidates = [file for place in places for file in (place.with_suffix(".py"), place / "__init__.py")]
        found |= {file for file in candidates if file in FILES}
    return found


@functools.cache
def graph() -> dict[Path, set[Path]]:
    """The files that each file imports."""
    return {path: imported_files(path) for path in FILES}


def reached(start: Path) -> set[Path]:
    """The files that a file imports, directly or through others."""
    seen: set[Path] = set()
    waiting = list(graph()[start])
    while waiting:
        path = waiting.pop()
        if path not in seen:
            seen.add(path)
            waiting += graph()[path]
    return seen


def test_the_imports_are_found() -> None:
    assert SCRIPTS / "speed" / "shapes.py" in graph()[SCRIPTS / "speed" / "floor.py"]
    assert SCRIPTS / "speed" / "floor.py" in graph()[SCRIPTS / "speed" / "worker.py"]  # inside a function
    assert SCRIPTS / "verify_peers" / "cases.py" in graph()[SCRIPTS / "verify_peers" / "keras3.py"]
    assert SCRIPTS / "bench" / "terminal.py" in reached(SCRIPTS / "benchmark_moving_mnist.py")


def test_nothing_is_imported_in_a_circle() -> None:
    assert not [path.relative_to(SCRIPTS) for path in FILES if path in reached(path)]


def test_folders_are_not_imported_in_a_circle() -> None:
    parts: dict[Path, set[Path]] = {}
    for path, others in graph().items():
        parts.setdefault(path.parent, set()).update(other.parent for other in others if other.parent != path.parent)
    for folder, others in parts.items():
        assert not [other for other in others if folder in parts[other]], folder


def test_what_is_imported_is_in_a_folder() -> None:
    """A script at the top level is run, never imported by another."""
    tops = {path for path in FILES if path.parent == SCRIPTS}
    assert not [(path.name, other.name) for path, others in graph().items() for other in others & tops]


def test_the_package_imports_no_script() -> None:
    ours = {path.relative_to(SCRIPTS).parts[0].removesuffix(".py") for path in FILES}
    for path in (ROOT / "convlstm_cli").rglob("*.py"):
        assert not {name.split(".")[0] for name in imported(path)} & ours, path
