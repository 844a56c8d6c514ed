"""Few combinations of options in which every two values of two options occur together.

Most faults of options need one or two of them (Kuhn, Wallace and Gallo 2004), so such a covering array tries nearly as
much as all combinations would.
"""

import itertools
import random
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Row = dict[str, Any]
Pair = tuple[tuple[str, int], tuple[str, int]]
"""Two options with the numbers of their values."""

CANDIDATES = 40


def pairwise(
    options: Mapping[str, Sequence[Any]], allowed: Callable[[Row], bool] = lambda _: True, seed: int = 0
) -> list[Row]:
    """Rows with one value for each option, the same for every call with the same arguments.

    Args:
        options: the values of each option.
        allowed: whether a row may occur, of which some options may have no value yet. What it forbids must be pairs.
        seed: of the draws; rows are built greedily, the best of some random candidates at a time.
    """
    draw = random.Random(seed)
    missing = {pair for pair in _pairs(options) if allowed(_values(options, dict(pair)))}
    rows = []
    while missing:
        wanted = min(missing)
        candidates = [_candidate(options, wanted, missing, allowed, draw) for _ in range(CANDIDATES)]
        best = max(candidates, key=lambda row: len(missing & _pairs_of(row)))
        missing -= _pairs_of(best)
        rows.append(_values(options, best))
    return rows


def _pairs(options: Mapping[str, Sequence[Any]]) -> list[Pair]:
    return [
        ((one, i), (other, j))
        for one, other in itertools.combinations(options, 2)
        for i in range(len(options[one]))
        for j in range(len(options[other]))
    ]


def _pairs_of(row: Mapping[str, int]) -> set[Pair]:
    return set(itertools.combinations(row.items(), 2))


def _candidate(
    options: Mapping[str, Sequence[Any]],
    wanted: Pair,
    missing: set[Pair],
    allowed: Callable[[Row], bool],
    draw: random.Random,
) -> dict[str, int]:
    """A row with the wanted pair, its other values chosen one by one, each to cover most missing pairs."""
    row = dict(wanted)
    others = [name for name in options if name not in row]
    draw.shuffle(others)
    for name in others:
        values = [value for value in range(len(options[name])) if allowed(_values(options, {**row, name: value}))]
        draw.shuffle(values)
        row[name] = max(values, key=lambda value: _covered(row, name, value, missing, options))
    return {name: row[name] for name in options}


def _covered(
    row: Mapping[str, int], name: str, value: int, missing: set[Pair], options: Mapping[str, Sequence[Any]]
) -> int:
    order = list(options)
    new = (name, value)
    pairs = ((old, new) if order.index(old[0]) < order.index(name) else (new, old) for old in row.items())
    return sum(pair in missing for pair in pairs)


def _values(options: Mapping[str, Sequence[Any]], row: Mapping[str, int]) -> Row:
    return {name: options[name][value] for name, value in row.items()}
