import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.comparing.statistics.jackknife import cells, estimate


def test_of_a_plain_mean_the_variances_are_the_usual_ones() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, (4, 7, 2))
    found = estimate(values, np.ones_like(values), np.asarray)
    assert found.value == pytest.approx(values.mean(axis=(0, 1)))
    assert found.seeds == pytest.approx(values.mean(axis=1).var(axis=0, ddof=1) / 4)
    assert found.videos == pytest.approx(values.mean(axis=0).var(axis=0, ddof=1) / 7)
    assert found.cells == pytest.approx(values.reshape(28, 2).var(axis=0, ddof=1) / 28)
    assert found.seeds_degrees == pytest.approx([3, 3])
    assert found.videos_degrees == pytest.approx([6, 6])


def test_one_of_a_kind_has_no_variance() -> None:
    values = np.random.default_rng(0).normal(3.0, 1.0, (1, 5, 1))
    found = estimate(values, np.ones_like(values), np.asarray)
    assert found.seeds.tolist() == [0.0]
    assert found.seeds_degrees.tolist() == [1.0]
    assert found.videos > 0
    turned = estimate(values.transpose(1, 0, 2), np.ones((5, 1, 1)), np.asarray)
    assert turned.videos.tolist() == [0.0]
    assert turned.seeds.tolist() == found.videos.tolist()


@settings(max_examples=30, deadline=None)
@given(st.lists(st.floats(1e-4, 1e4), min_size=2, max_size=9))
def test_the_degrees_of_freedom_are_those_of_the_quadratic_form(weights: list[float]) -> None:
    denominator = np.array(weights)[None, :, None]
    share = denominator[0, :, 0] / denominator.sum()
    rest = np.array([np.delete(share, unit).sum() for unit in range(len(share))])
    # The diagonal as a sum, as 1 less a share near 1 has few digits.
    centre = np.where(np.eye(len(share), dtype=bool), rest, -share)  # row v takes the weighted mean off value v
    form = centre.T @ np.diag((share / rest) ** 2) @ centre
    found = estimate(denominator * 0.1, denominator, np.asarray).videos_degrees
    assert found == pytest.approx(np.trace(form) ** 2 / np.trace(form @ form), rel=1e-6)
    assert 1 <= found[0] <= len(share) - 1


def test_a_video_that_has_all_of_the_error_leaves_one_degree_of_freedom() -> None:
    denominator = np.array([1.0, 0.0, 0.0])[None, :, None]
    found = estimate(denominator * 0.1, denominator, np.asarray)
    assert found.videos_degrees == pytest.approx(1.0)
    assert np.isfinite(found.videos)


def test_cells_are_sums_over_the_clips_of_a_video_wherever_those_stand() -> None:
    values = np.arange(8.0).reshape(2, 4, 1)
    found = cells(values, ["b", "a", "b", "b"])
    assert found[..., 0].tolist() == [[1.0, 0.0 + 2 + 3], [5.0, 4.0 + 6 + 7]]
    order = [3, 1, 0, 2]
    assert (cells(values[:, order], ["b", "a", "b", "b"]) == found).all()
