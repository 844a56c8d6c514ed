import itertools
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.compute.device import choose as choose_device
from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting import tiling
from convlstm_cli.forecasting.inference import forecast_chunks, to_float
from convlstm_cli.forecasting.tiling import (
    Tiling,
    choose,
    cut,
    default_overlap,
    forecast_tiles,
    inference_memory,
    smaller,
)
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig

# One layer of 3x3 kernels that reads 2 frames and gives 2: what it forecasts comes from at most 4 patches away.
LOCAL = ForecasterConfig(16, 16, 1, hidden=(3,), patch_size=2, input_frames=2, horizon=2, peephole_init="uniform")
REACH = 4 * 2
CPU = choose_device("cpu")


def network(config: ForecasterConfig = LOCAL) -> EncoderForecaster:
    torch.manual_seed(0)
    model = EncoderForecaster(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def clip(height: int, width: int, frames: int = 2) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, (1, frames, 1, height, width), generator=generator, dtype=torch.uint8)


def tiled(tiles: Tiling, frames: torch.Tensor, tmp_path: Path, horizon: int = 2, chunk: int = 8) -> torch.Tensor:
    spool = tmp_path / "spool"
    pieces = list(forecast_tiles(network(), frames, horizon, chunk, CPU, tiles, spool))
    assert [piece.shape[1] for piece in pieces] == [min(chunk, horizon - at) for at in range(0, horizon, chunk)]
    assert not spool.exists()
    return torch.cat(pieces, dim=1)


def untiled(frames: torch.Tensor, horizon: int = 2, chunk: int = 8) -> torch.Tensor:
    return torch.cat(list(forecast_chunks(network(), to_float(frames, CPU.device), horizon, chunk, CPU)), dim=1)


def test_one_tile_that_covers_all_is_the_untiled_forecast(tmp_path: Path) -> None:
    frames = clip(20, 24)
    for tiles in (choose(LOCAL, 20, 24, 2, 8), choose(LOCAL, 20, 24, 2, 8, tile=24)):
        assert tiles.count == 1
        assert torch.equal(tiled(tiles, frames, tmp_path), untiled(frames))


@pytest.mark.parametrize("one_by_one", [False, True])
@pytest.mark.parametrize(("height", "width"), [(64, 96), (50, 102)])
def test_tiles_that_see_far_enough_leave_no_trace(height: int, width: int, one_by_one: bool, tmp_path: Path) -> None:
    frames = clip(height, width)
    overlap = 4 * REACH  # its outer quarters, which see the tile's edge, count for nothing
    parts = cut(height, width, 2 * overlap - 16, overlap, 2)
    assert parts.count > 1
    tiles = Tiling(parts.rows, parts.columns, one_by_one)
    torch.testing.assert_close(tiled(tiles, frames, tmp_path), untiled(frames), rtol=0, atol=1e-5)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_moves_into_a_tile_comes_from_its_neighbour(tmp_path: Path, one_by_one: bool) -> None:
    """Over ten frames from further away than tiles overlap."""
    columns = torch.arange(192.0)
    rows = [128 + 100 * torch.sin((columns - 4 * step) * 0.11) for step in range(4)]  # 4 pixels a frame to the right
    frames = torch.stack(rows).round().byte()[None, :, None, None].expand(1, 4, 1, 48, 192).contiguous()
    parts = cut(48, 192, 64, 16, 2)
    assert parts.count > 2
    model = EncoderForecaster(LOCAL).eval()  # new, so that it gives little but the moved frame
    tiles = Tiling(parts.rows, parts.columns, one_by_one)
    pieces = list(forecast_tiles(model, frames, 10, 4, CPU, tiles, tmp_path / "spool"))
    whole = torch.cat(list(forecast_chunks(model, to_float(frames, CPU.device), 10, 4, CPU)), dim=1)
    torch.testing.assert_close(torch.cat(pieces, dim=1), whole, rtol=0, atol=0.01)


def test_too_little_overlap_does_leave_one(tmp_path: Path) -> None:
    """So that the test above would notice tiles that are not what they seem."""
    frames = clip(64, 96)
    assert (tiled(cut(64, 96, 48, 4, 2), frames, tmp_path) - untiled(frames)).abs().max() > 1e-3


def test_both_orders_give_the_same_piece_by_piece(tmp_path: Path) -> None:
    frames, parts = clip(40, 50), cut(40, 50, 24, 8, 2)
    one_by_one = tiled(Tiling(parts.rows, parts.columns, one_by_one=True), frames, tmp_path, horizon=5, chunk=2)
    torch.testing.assert_close(one_by_one, tiled(parts, frames, tmp_path, horizon=5, chunk=2))
    assert one_by_one.min() >= 0
    assert one_by_one.max() <= 1


def test_odd_sides_are_extended_by_their_edge_and_cut_off(tmp_path: Path) -> None:
    frames = clip(21, 33)
    extended = torch.cat((frames, frames[..., -1:, :]), dim=-2)
    extended = torch.cat((extended, extended[..., -1:]), dim=-1)
    given = tiled(choose(LOCAL, 21, 33, 2, 8), frames, tmp_path)
    assert torch.equal(given, untiled(extended)[..., :21, :33])
    assert tiled(cut(21, 33, 16, 4, 2), frames, tmp_path).shape[-2:] == (21, 33)


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


# Which tiles are taken


def test_a_frame_that_fits_is_not_cut() -> None:
    held, working = inference_memory(LOCAL, 512, 512, 2, 8)
    assert choose(LOCAL, 512, 512, 2, 8, memory=10 * (held + working)).count == 1
    assert choose(LOCAL, 512, 512, 2, 8, memory=None).count == 1


def test_less_memory_means_smaller_tiles_and_in_the_end_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiling, "FRAME_COPIES", 0)
    held, working = inference_memory(LOCAL, 512, 512, 2, 8)
    sides, orders = [], []
    for share in (2.0, 1.2, 0.9, 0.4):
        tiles = choose(LOCAL, 512, 512, 2, 8, memory=int(share * (held + working) + 512 * 512 * 66 / tiling.SHARE))
        sides.append(max(tiles.size))
        orders.append(tiles.one_by_one)
        taken, needed = inference_memory(LOCAL, *tiles.size, 2, 8)
        assert taken * (1 if tiles.one_by_one else tiles.count) + needed <= share * (held + working)
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 512
    assert sides[-1] < 512
    assert choose(LOCAL, 512, 512, 2, 8, memory=1).one_by_one  # the smallest there are, in the hope that it works
    assert orders == sorted(orders)


def test_what_is_expected_grows_with_the_pixels_and_with_the_states() -> None:
    held, working = inference_memory(LOCAL, 128, 128, 2, 8)
    more, most = inference_memory(LOCAL, 128, 256, 2, 8)
    assert more == pytest.approx(2 * held, rel=0.05)
    assert most == pytest.approx(2 * working, rel=0.05)
    states = 2 * 3 * 64 * 64 * 4
    planes = 2 + 2 + 2 + 8  # the last frame twice, its motion, how far it is moved, and the last piece
    assert held == pytest.approx(states + planes * 128 * 128 * 4, rel=0.05)


def test_a_tile_that_is_asked_for_is_taken() -> None:
    tiles = choose(LOCAL, 100, 100, 2, 8, tile=41, overlap=10)
    assert max(tiles.size) <= 40
    assert tiles.count > 4
    assert min(one.stop - other.start for one, other in zip(tiles.rows, tiles.rows[1:], strict=False)) >= 10
    assert not tiles.one_by_one
    assert choose(LOCAL, 100, 100, 2, 8, tile=40, memory=1).one_by_one
    with pytest.raises(UsageError, match=r"--tile-overlap is 30 .* at most half of that, 20"):
        choose(LOCAL, 100, 100, 2, 8, tile=40, overlap=30)
    with pytest.raises(UsageError, match=r"--tile is 16; .* patch of 32 pixels"):
        choose(ForecasterConfig(64, 64, 1, patch_size=32), 100, 100, 2, 8, tile=16)


def test_the_overlap_grows_with_what_a_step_sees() -> None:
    assert default_overlap(LOCAL) == 32
    assert default_overlap(ForecasterConfig(64, 64, 1)) == 48
    assert default_overlap(ForecasterConfig(64, 64, 1, kernel_size=5)) == 96


def test_a_smaller_tile_is_smaller_and_fits() -> None:
    whole = choose(LOCAL, 512, 512, 2, 8)
    side = smaller(whole, LOCAL, 2, 8, None)
    assert side == math.floor(512 / math.sqrt(2)) // 2 * 2
    held, working = inference_memory(LOCAL, 512, 512, 2, 8)
    assert 16 <= smaller(whole, LOCAL, 2, 8, (held + working) // 8) < side


def test_an_abandoned_forecast_leaves_no_file(tmp_path: Path) -> None:
    parts = cut(40, 40, 24, 8, 2)
    pieces: Iterator[torch.Tensor] = forecast_tiles(
        network(), clip(40, 40), 4, 2, CPU, Tiling(parts.rows, parts.columns, True), tmp_path / "spool"
    )
    next(pieces)
    assert (tmp_path / "spool").exists()
    pieces.close()  # type: ignore[attr-defined]
    assert not (tmp_path / "spool").exists()
