"""Relative differences between ours and a peer, the worst of them by layer and by argument, and their limits."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from pairwise import Row
from torch import Tensor

Difference = float
"""Largest difference in an array over the largest value in it; of several arrays, the worst."""
Done = tuple[str, Row, str, Mapping[str, Difference]]
"""A layer, its options, the precision, and the differences by kind."""

KINDS = ("forward", "state", "gradient")
LIMITS = {"float32": 1e-5, "float64": 1e-12}
PRECISIONS = tuple(LIMITS)


def worst_difference(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor]) -> Difference:
    """The worst over arrays of the same names. Infinite where shapes differ or a value is not finite."""
    if ours.keys() != theirs.keys():
        raise ValueError(f"ours has {sorted(ours)} and theirs {sorted(theirs)}")
    worst = 0.0
    for name, expected in theirs.items():
        if ours[name].shape != expected.shape or not torch.isfinite(expected).all():
            return float("inf")
        largest = expected.abs().max().item()
        difference = (ours[name] - expected).abs().max().item()
        worst = max(worst, difference / largest if largest else difference)
    return worst


def report(
    system: str, options: Mapping[str, Sequence[Any]], combined: Sequence[Done], single: Sequence[Done] = ()
) -> int:
    """Prints the worst differences by layer and precision, and by argument; 1 if one is too large, else 0.

    Args:
        system: heading of the tables.
        options: the values of each argument.
        combined: combinations of them; only these make the table by argument.
        single: what was tried one by one.
    """
    done = [*combined, *single]
    failed = [each for each in done if max(each[3].values()) >= LIMITS[each[2]]]
    print(f"\n{system}\n")
    _table(
        ("layer", "precision", "combinations", *KINDS),
        [
            (layer, precision, *_worst([each for each in done if each[0] == layer and each[2] == precision]))
            for layer in dict.fromkeys(each[0] for each in done)
            for precision in PRECISIONS
        ],
    )
    print()
    exact = [each for each in combined if each[2] == "float64"]
    _table(
        ("argument (float64)", "values", "combinations without the first value", *KINDS),
        [
            (f"`{name}`", ", ".join(map(_word, values)), *_worst(_departing(exact, name, values[0])))
            for name, values in options.items()
        ],
    )
    for layer, row, precision, differences in failed:
        print(f"FAIL {layer} {precision} {row}: {dict(differences)}")
    limits = ", ".join(f"{precision} below {limit:.0e}" for precision, limit in LIMITS.items())
    print(f"\n{len(done) - len(failed)} of {len(done)} pass ({limits}).")
    return 1 if failed or not done else 0


def _departing(done: Sequence[Done], name: str, first: Any) -> list[Done]:
    """The combinations in which an option has another value than its first."""
    sides = len(first) if isinstance(first, tuple) else 0
    return [each for each in done if each[1][name] != (first[: len(each[1][name])] if sides else first)]


def _worst(done: Sequence[Done]) -> tuple[str, ...]:
    return (str(len(done)), *(f"{max((each[3][kind] for each in done), default=0.0):.1e}" for kind in KINDS))


def _word(value: Any) -> str:
    return " x ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, tuple("-" * width for width in widths), *rows):
        print("| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |")
