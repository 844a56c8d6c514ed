import numpy as np
import pytest
import torch

from convlstm_cli.scoring.members.exceedance import MOST_BINS, Exceedance
from convlstm_cli.video.values import BYTES, ValueRange


def drawn(count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    members, truth = (
        torch.rand(count, 3, 2, 1, 9, 9, generator=generator),
        torch.rand(3, 2, 1, 9, 9, generator=generator),
    )
    return members, truth, torch.rand(truth.shape, generator=generator) < 0.7


def test_the_brier_score_is_the_mean_squared_difference_of_probability_and_event() -> None:
    members, truth, valid = drawn(5)
    scores = Exceedance(5, 0.4, BYTES)
    scores.add(members[:, :1], truth[:1], valid[:1])
    scores.add(members[:, 1:], truth[1:], valid[1:])
    squares = ((members >= 0.4).double().mean(dim=0) - (truth >= 0.4).double()).square()
    pooled = scores.pooled()
    assert pooled.brier == pytest.approx([float(squares[:, lead][valid[:, lead]].mean()) for lead in range(2)])
    assert pooled.mean == pytest.approx(float(squares[valid].mean()))


def test_its_parts_make_it_up() -> None:
    """Murphy 1973: exact where all forecasts of a part have one probability."""
    members, truth, valid = drawn(4)
    scores = Exceedance(4, 0.4, BYTES)
    scores.add(members, truth, valid)
    pooled = scores.pooled()
    assert pooled.mean == pytest.approx(pooled.reliability - pooled.resolution + pooled.uncertainty)
    rate = float((truth >= 0.4)[valid].double().mean())
    assert pooled.uncertainty == pytest.approx(rate * (1 - rate))


@pytest.mark.parametrize("count", [3, 20, 50])
def test_the_diagram_has_the_frequency_of_each_probability(count: int) -> None:
    members, truth, valid = drawn(count)
    scores = Exceedance(count, 0.4, BYTES)
    scores.add(members, truth, valid)
    probability = (members >= 0.4).double().mean(dim=0)[valid]
    happened = (truth >= 0.4)[valid]
    bins = scores.pooled().bins
    assert sum(each.count for each in bins) == int(valid.sum())
    assert sum(each.frequency * each.count for each in bins) == pytest.approx(int(happened.sum()))
    assert sum(each.probability * each.count for each in bins) == pytest.approx(float(probability.sum()))
    if count < MOST_BINS:
        for each in bins:
            here = (probability - each.probability).abs() < 1e-9
            assert int(here.sum()) == each.count
            assert float(happened[here].double().mean()) == pytest.approx(each.frequency)
    else:
        assert len(bins) <= MOST_BINS


def test_perfect_and_calibrated_forecasts() -> None:
    truth = drawn(1)[1]
    perfect = Exceedance(3, 0.4, BYTES)
    perfect.add(truth.expand(3, *truth.shape), truth)
    assert perfect.pooled().mean == perfect.pooled().reliability == 0.0
    drawn_alike = torch.rand(21, 1, 1, 1, 200, 200, generator=torch.Generator().manual_seed(0))
    calibrated = Exceedance(20, 0.4, BYTES)
    calibrated.add(drawn_alike[1:], drawn_alike[0])
    assert calibrated.pooled().mean == pytest.approx(0.24 * 21 / 20, abs=0.005)
    assert calibrated.pooled().resolution == pytest.approx(0.0, abs=0.001)


def test_a_threshold_is_in_the_unit_of_the_values() -> None:
    values = ValueRange(0.0, 80.0, "mm/h", log=True)
    shares = torch.tensor([0.5, 2.0, 30.0]).view(3, 1, 1, 1, 1, 1)
    members = torch.from_numpy(values.to_unit(shares.double().numpy())).float()
    scores = Exceedance(3, 2.0, values)
    scores.add(members, members[2])
    assert scores.pooled().bins[0].probability == pytest.approx(2 / 3)


def test_nothing_scored_is_no_number() -> None:
    members, truth, valid = drawn(3)
    scores = Exceedance(3, 0.4, BYTES)
    scores.add(members, truth, torch.zeros_like(valid))
    pooled = scores.pooled()
    assert np.isnan([*pooled.brier, pooled.mean, pooled.reliability]).all()
    assert pooled.to_dict()["mean"] is None
    assert pooled.bins == ()
