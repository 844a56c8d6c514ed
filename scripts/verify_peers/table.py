"""Prints the errors of our cell against each recorded peer; exits with 1 if one is too large. Usage: table.py FOLDER

Runs where convlstm_cli is installed, with tests on the module path.
"""

import sys
from pathlib import Path

from peers import compare, read

LIMITS = {"float32": 1e-5, "float64": 1e-12}
HEADER = ("system", "version", "peephole", "precision", "forward", "state", "gradient", "verdict")


def main(folder: Path) -> int:
    rows = []
    records = list(map(read, folder.glob("*.float*.npz")))
    records.sort(key=lambda record: (record.about["system"].lower(), record.about["precision"]))
    for record in records:
        about = record.about
        errors = compare(record, about["precision"])
        worst = max(errors.forward, errors.state, errors.gradient)
        verdict = "pass" if worst < LIMITS[about["precision"]] else "FAIL"
        numbers = (f"{error:.1e}" for error in (errors.forward, errors.state, errors.gradient))
        rows.append((about["system"], about["version"], about["peephole"], about["precision"], *numbers, verdict))
    widths = [max(map(len, column)) for column in zip(HEADER, *rows, strict=True)]
    for row in (HEADER, tuple("-" * width for width in widths), *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
    failed = sum(row[-1] == "FAIL" for row in rows)
    print(f"\nLargest relative error; {len(rows) - failed} of {len(rows)} pass", end=" ")
    print("(" + ", ".join(f"{precision} below {limit:.0e}" for precision, limit in LIMITS.items()) + ").")
    return 1 if failed or not rows else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
