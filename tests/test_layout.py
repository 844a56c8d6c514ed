"""The order of the package's folders, read from CONTRIBUTING.md, and every import of the package held to it."""

import ast
import functools
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "convlstm_cli"


def rows() -> list[list[str]]:
    """The rows of the list, from the top down, each with its folders and modules."""
    block = re.search(r"```layout\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.DOTALL)
    assert block is not None
    return [re.split(r"\s{2,}", line)[0].split() for line in block[1].splitlines()]


LEVEL = {name: level for level, row in enumerate(rows()) for name in row}
FILES = sorted(path for path in PACKAGE.rglob("*.py") if "templates" not in path.parts)


def place(module: str) -> str:
    """The folder, or the module at the top level, that a dotted name below the package belongs to."""
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


@functools.cache
def imports(path: Path) -> tuple[tuple[int, str], ...]:
    """Line and dotted name of every import of the package in a file, inside functions too."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, name.name) for name in node.names if name.name.startswith("convlstm_cli")]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("convlstm_cli"):
            for name in node.names:
                dotted = f"{node.module}.{name.name}"
                is_module = (ROOT / dotted.replace(".", "/")).is_dir() or (
                    ROOT / f"{dotted.replace('.', '/')}.py"
                ).exists()
                found.append((node.lineno, dotted if is_module else str(node.module)))
    return tuple(found)


def module_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def test_every_file_and_folder_stands_in_the_list() -> None:
    assert {place(module_of(path)) for path in FILES} == set(LEVEL)


def test_no_import_runs_up_the_list() -> None:
    wrong = []
    for path in FILES:
        here = place(module_of(path))
        for line, module in imports(path):
            there = place(module)
            side_by_side = LEVEL[here] == LEVEL[there] and here != there and (PACKAGE / here).is_dir()
            if LEVEL[there] < LEVEL[here] or side_by_side:
                wrong.append(f"{path.relative_to(ROOT)}:{line} imports {module}")
    assert not wrong, "\n".join(wrong)


def circles(graph: dict[str, set[str]]) -> list[str]:
    """Modules that import each other, directly or through others."""
    found = []
    for start in graph:
        seen, waiting = set(), list(graph[start])
        while waiting:
            module = waiting.pop()
            if module not in seen:
                seen.add(module)
                waiting += graph.get(module, set())
        if start in seen:
            found.append(start)
    return found


@pytest.mark.parametrize("within", ["files", "folders"])
def test_nothing_is_imported_in_a_circle(within: str) -> None:
    graph: dict[str, set[str]] = {}
    for path in FILES:
        for _, module in imports(path):
            ends = (module_of(path), module) if within == "files" else (place(module_of(path)), place(module))
            if ends[0] != ends[1] and "convlstm_cli" not in ends:  # the root loads its parts when they are asked for
                graph.setdefault(ends[0], set()).add(ends[1])
    assert not circles(graph)


def test_every_folder_says_what_it_owns_and_what_it_may_import() -> None:
    for folder in {path.parent for path in FILES} - {PACKAGE}:
        text = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
        assert "import" in text.lower(), f"{folder.name}/__init__.py does not say what it may import"
