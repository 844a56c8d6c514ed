"""Writes the list of files in convlstm_cli/README.md: the first sentence of the docstring of every source file.

.venv/bin/python scripts/list_files.py     # after a file was added, renamed or removed, or its docstring changed

Folders stand in the order of the list in CONTRIBUTING.md. The tests compare the list with the files.
"""

import ast
import re
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "convlstm_cli"
README = PACKAGE / "README.md"
BEGIN, END = "<!-- begin of the list of files -->\n", "<!-- end of the list of files -->\n"
SUFFIXES = (".py", ".c")


def main() -> int:
    text = README.read_text(encoding="utf-8")
    changed = with_list(text)
    if changed != text:
        README.write_text(changed, encoding="utf-8")
    print(f"{README.relative_to(ROOT)}: {'changed' if changed != text else 'unchanged'}")
    return 0


def with_list(text: str) -> str:
    """The README's text with the list of the files that exist. Raises ValueError where a marker is missing."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n{listing()}\n{END}{after}"


def listing() -> str:
    """The list as Markdown: the files at the top level, then those of each folder below a heading."""
    files = sorted(path for path in PACKAGE.rglob("*") if path.suffix in SUFFIXES)
    order = layout()
    parts = ["### Top level\n", *(line(path) for path in files if path.parent == PACKAGE)]
    folders = {path.relative_to(PACKAGE).parts[0] for path in files if path.parent != PACKAGE}
    for folder in sorted(folders, key=lambda name: (order.index(name) if name in order else len(order), name)):
        parts += [f"\n### {folder}/\n", f"{first_sentence(PACKAGE / folder / '__init__.py')}\n"]
        inside = [path for path in files if folder == path.relative_to(PACKAGE).parts[0]]
        parts += [line(path) for path in inside if path != PACKAGE / folder / "__init__.py"]
    return "\n".join(parts) + "\n"


def layout() -> list[str]:
    """The names in the layout list of CONTRIBUTING.md, from the top down."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = text.split("```layout\n")[1].split("```")[0].splitlines()
    return [name for row in rows for name in re.split(r"\s{2,}", row)[0].split()]


def line(path: Path) -> str:
    """One item of the list; the `__init__.py` of a folder inside a folder stands for that folder."""
    folder = PACKAGE if path.parent == PACKAGE else PACKAGE / path.relative_to(PACKAGE).parts[0]
    inner = path.name == "__init__.py" and path.parent != PACKAGE
    shown = f"{path.parent.relative_to(folder).as_posix()}/" if inner else path.relative_to(folder).as_posix()
    return f"- [`{shown}`]({path.relative_to(PACKAGE).as_posix()}): {first_sentence(path)}"


def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring, or of a C file's leading comment, on one line."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".c":
        comment = re.match(r"(//.*\n)+", text)
        written = re.sub(r"^// ?", "", comment[0], flags=re.MULTILINE) if comment else ""
    else:
        written = ast.get_docstring(ast.parse(text)) or ""
    if not written:
        raise ValueError(f"{path}: begins with no docstring or comment")
    paragraph = " ".join(written.split("\n\n")[0].split())
    return re.split(r"(?<=\.)(?<!et al\.)(?<!e\.g\.)(?<!i\.e\.) ", paragraph)[0]


if __name__ == "__main__":
    sys.exit(main())
