from pathlib import Path

import pytest
import torch

from convlstm_cli.compute.device import choose as choose_device
from convlstm_cli.forecasting.inference import forecast_chunks
from convlstm_cli.forecasting.tiling.forecast import forecast_tiles
from convlstm_cli.forecasting.tiling.plan import Tiling, choose, cut
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.video.tensors import to_float

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
    torch.testing.assert_close(tiled(tiles, frames, tmp_path), untiled(frames), rtol=0, atol=1e-4)


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


def test_an_abandoned_forecast_leaves_no_file(tmp_path: Path) -> None:
    parts = cut(40, 40, 24, 8, 2)
    pieces = forecast_tiles(
        network(), clip(40, 40), 4, 2, CPU, Tiling(parts.rows, parts.columns, True), tmp_path / "spool"
    )
    next(pieces)
    assert (tmp_path / "spool").exists()
    pieces.close()
    assert not (tmp_path / "spool").exists()
