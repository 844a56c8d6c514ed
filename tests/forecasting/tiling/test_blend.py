import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.forecasting.tiling.blend import add_tile, weights
from convlstm_cli.forecasting.tiling.plan import cut


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.integers(1, 8), st.integers(1, 30), st.floats(0, 1), st.booleans())
def test_blending_weights_sum_to_one(
    height: int, width: int, patch: int, patches: int, share: float, whole: bool
) -> None:
    overlap = int(share * (patches // 2)) * patch
    tiles = cut(height, width, None if whole else patches * patch, overlap, patch)
    total = torch.zeros(height, width)
    for rows, columns in tiles:
        assert rows.start % patch == columns.start % patch == 0
        assert (rows.stop - rows.start, columns.stop - columns.start) == tiles.size
        weights = rows.weights[:, None] * columns.weights
        assert weights.min() >= 0
        total[rows.start : rows.stop, columns.start : columns.stop] += weights
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)
    assert all(side % patch == 0 for side in tiles.size)
    assert whole or max(tiles.size) <= patches * patch
    for axis in (tiles.rows, tiles.columns):
        assert all(one.stop - other.start >= overlap for one, other in itertools.pairwise(axis))


def test_a_pixel_of_two_tiles_has_a_share_of_each_and_the_outer_quarters_none() -> None:
    first, second = weights([0, 16], 32, 48)
    assert first[:16].eq(1).all()
    assert second[16:].eq(1).all()
    assert first[28:].eq(0).all()
    assert second[:4].eq(0).all()
    torch.testing.assert_close(first[16:] + second[:16], torch.ones(16))
    torch.testing.assert_close(first[16:], second[:16].flip(0))  # the two rise and fall alike
    assert ((first[20:28] > 0) & (first[20:28] < 1)).all()


def test_tiles_are_added_where_they_lie_and_cut_at_the_frames_edge() -> None:
    total = torch.zeros(1, 1, 1, 5, 6)
    piece = torch.ones(1, 1, 1, 4, 4)
    add_tile(total, piece, 2, 3, torch.tensor([1.0, 0.5, 0.25]), torch.tensor([1.0, 2.0, 4.0]))
    expected = torch.zeros(5, 6)
    expected[2:, 3:] = torch.tensor([[1.0, 2.0, 4.0], [0.5, 1.0, 2.0], [0.25, 0.5, 1.0]])
    assert torch.equal(total[0, 0, 0], expected)


def test_one_tile_has_the_whole_weight() -> None:
    [alone] = weights([0], 8, 7)
    assert alone.tolist() == pytest.approx([1.0] * 7)
