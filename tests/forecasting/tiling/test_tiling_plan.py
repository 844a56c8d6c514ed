import math

import pytest

from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.tiling import plan
from convlstm_cli.forecasting.tiling.memory import inference_memory
from convlstm_cli.forecasting.tiling.plan import choose, default_overlap, smaller
from convlstm_cli.nn import ForecasterConfig

# Not advected, since counting what finding motion takes is slow.
LOCAL = ForecasterConfig(16, 16, 1, hidden=(3,), patch_size=2, input_frames=2, horizon=2, forecaster="unconditioned")


def test_a_frame_that_fits_is_not_cut() -> None:
    held, working = inference_memory(LOCAL, 512, 512, 2, 8)
    assert choose(LOCAL, 512, 512, 2, 8, memory=10 * (held + working)).count == 1
    assert choose(LOCAL, 512, 512, 2, 8, memory=None).count == 1


def test_less_memory_means_smaller_tiles_and_in_the_end_one_after_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plan, "FRAME_COPIES", 0)
    held, working = inference_memory(LOCAL, 512, 512, 2, 8)
    sides, orders = [], []
    for share in (2.0, 1.2, 0.9, 0.4):
        tiles = choose(LOCAL, 512, 512, 2, 8, memory=int(share * (held + working) + 512 * 512 * 66 / plan.SHARE))
        sides.append(max(tiles.size))
        orders.append(tiles.one_by_one)
        taken, needed = inference_memory(LOCAL, *tiles.size, 2, 8)
        assert taken * (1 if tiles.one_by_one else tiles.count) + needed <= share * (held + working)
    assert sides == sorted(sides, reverse=True)
    assert sides[0] == 512
    assert sides[-1] < 512
    assert choose(LOCAL, 512, 512, 2, 8, memory=1).one_by_one  # the smallest there are, in the hope that it works
    assert orders == sorted(orders)


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
