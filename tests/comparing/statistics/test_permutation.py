import itertools

import numpy as np
import pytest

from convlstm_cli.comparing.statistics.permutation import EXACT, fewest_seeds, permutation_p


def test_the_permutation_test_is_what_all_exchanges_of_labels_give() -> None:
    """Against the definition, written out: 2 seeds and 3 videos have 64 exchanges."""
    rng = np.random.default_rng(3)
    arms = rng.gamma(4.0, 0.01, (2, 2, 3, 1))
    arms[1] *= 2

    def statistic(a: np.ndarray, b: np.ndarray) -> float:
        def ratio(a: np.ndarray, b: np.ndarray) -> float:
            return float((a - b).sum() / (a + b).sum())

        parts = []
        for axis, units in ((0, 2), (1, 3)):
            left_out = [ratio(np.delete(a, unit, axis), np.delete(b, unit, axis)) for unit in range(units)]
            parts.append((units - 1) / units * sum((value - np.mean(left_out)) ** 2 for value in left_out))
        return abs(ratio(a, b)) / float(np.sqrt(sum(parts)))

    observed = statistic(*arms)
    exchanged = []
    for choice in itertools.product((False, True), repeat=6):
        swap = np.array(choice).reshape(2, 3, 1)
        exchanged.append(statistic(np.where(swap, arms[1], arms[0]), np.where(swap, arms[0], arms[1])))
    expected = np.mean([value >= observed * (1 - 1e-9) for value in exchanged])
    found = permutation_p(arms[0] - arms[1], arms[0] + arms[1], permutations=10, seed=0)
    assert found == pytest.approx(expected)
    assert 2 / 64 <= expected < 1


def test_drawn_permutations_agree_with_all_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    arms = rng.gamma(4.0, 0.01, (2, 3, 4, 5))
    assert EXACT >= 2**11
    exact = permutation_p(arms[0] - arms[1], arms[0] + arms[1], permutations=4000, seed=0)
    monkeypatch.setattr("convlstm_cli.comparing.statistics.permutation.EXACT", 0)
    # In several pieces, as a large table would be.
    monkeypatch.setattr("convlstm_cli.comparing.statistics.permutation.CHUNK", 40_000)
    drawn = permutation_p(arms[0] - arms[1], arms[0] + arms[1], permutations=4000, seed=0)
    assert drawn == pytest.approx(exact, abs=0.04)
    assert (drawn != exact).any()


def test_the_draws_are_those_of_the_seed() -> None:
    arms = np.random.default_rng(1).gamma(4.0, 0.01, (2, 5, 6, 1))
    drawn = [permutation_p(arms[0] - arms[1], arms[0] + arms[1], permutations=500, seed=seed) for seed in (0, 0, 1)]
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_fewest_seeds_are_those_that_could_reach_the_level() -> None:
    assert [fewest_seeds(videos, 0.05) for videos in (1, 2, 3, 9)] == [6, 3, 2, 2]
    assert fewest_seeds(1, 0.025) == 7
