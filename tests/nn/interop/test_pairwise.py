"""The covering array of scripts/verify_peers has every allowed pair of values, in few rows."""

import itertools
import sys
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.append(str(Path(__file__).parents[3] / "scripts" / "verify_peers"))

from pairwise import Row, pairwise


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(1, 4), min_size=2, max_size=6), st.integers(0, 99))
def test_every_pair_occurs_and_no_forbidden_one(sizes: list[int], seed: int) -> None:
    options = {f"option {index}": range(size) for index, size in enumerate(sizes)}

    def allowed(row: Row) -> bool:
        return not (row.get("option 0") == 0 and row.get("option 1") == 0) or sizes[0] == 1 or sizes[1] == 1

    rows = pairwise(options, allowed, seed)
    assert all(row.keys() == options.keys() and allowed(row) for row in rows)
    for one, other in itertools.combinations(options, 2):
        pairs = set(itertools.product(options[one], options[other]))
        assert {(row[one], row[other]) for row in rows} == {
            pair for pair in pairs if allowed({one: pair[0], other: pair[1]})
        }
    assert len(rows) <= 2 * max(sizes) ** 2
    assert rows == pairwise(options, allowed, seed)
