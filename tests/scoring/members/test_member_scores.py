import json

import numpy as np
import pytest
import torch

from convlstm_cli.scoring.members.fair_crps import fair_crps
from convlstm_cli.scoring.members.fair_energy import fair_energy
from convlstm_cli.scoring.members.member_scores import MemberScores, mean_of
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.video.values import BYTES, ValueRange

VIDEOS = ["a", "b", "c"]


def drawn(count: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    members = torch.rand(count, 3, 2, 1, 16, 16, generator=generator)
    truth = torch.rand(3, 2, 1, 16, 16, generator=generator)
    return members, truth, torch.rand(truth.shape, generator=generator) < 0.6


@pytest.mark.parametrize("values", [BYTES, ValueRange(0.0, 80.0, "mm/h", log=True), ValueRange(250.0, 310.0, "K")])
def test_every_score_is_in_the_unit_of_the_values(values: ValueRange) -> None:
    members, truth, valid = drawn()
    scores = MemberScores(4, values=values)
    scores.add(members[:, :1], truth[:1], valid[:1])
    scores.add(members[:, 1:], truth[1:], valid[1:])
    found = scores.pooled(VIDEOS)
    # BYTES are scored as shares.
    real, known = (each.double() if values is BYTES else values.from_unit(each.double()) for each in (members, truth))
    for lead in range(2):
        there = valid[:, lead]
        mse = (real.mean(dim=0) - known)[:, lead][there].square().mean()
        variance = real.var(dim=0, correction=1)[:, lead][there].mean()
        share = there.double().mean(dim=(1, 2, 3))
        energy = fair_energy(real[:, :, lead], known[:, lead], there)
        assert found.crps[lead] == pytest.approx(float(fair_crps(real, known)[:, lead][there].mean()), rel=1e-4)
        assert found.energy[lead] == pytest.approx(float((energy * share).sum() / share.sum()), rel=1e-4)
        assert found.mse[lead] == pytest.approx(float(mse), rel=1e-4)
        assert found.spread_skill is not None
        assert found.spread_skill[lead] == pytest.approx(float((variance * 5 / 4 / mse).sqrt()), rel=1e-4)
    assert found.unit == values.unit


def test_a_single_forecast_has_the_scores_of_one() -> None:
    members, truth, valid = drawn(1)
    scores, plain = MemberScores(1, (0.5,)), Scores()
    scores.add(members, truth, valid)
    plain.add(members[0], truth, valid)
    found = scores.pooled(VIDEOS)
    assert found.crps == pytest.approx(plain.by_lead_time("mae"))
    assert found.mse == pytest.approx(plain.mse)
    assert found.mean_crps == pytest.approx(plain.overall("mae"))
    assert (found.spread_skill, found.mean_spread_skill, found.ranks) == (None, None, None)
    wrong = ((members[0] >= 0.5) != (truth >= 0.5))[valid].double().mean()
    assert found.exceedance[0].mean == pytest.approx(float(wrong))
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["ranks"] is None


def test_members_drawn_as_the_truth_is_are_reliable() -> None:
    """Fortin et al. 2014: for any number of members, which their factor is for."""
    drawn = (0.5 + 0.1 * torch.randn(4, 200, 1, 1, 16, 16, generator=torch.Generator().manual_seed(0))).clamp(0, 1)
    scores = MemberScores(3)
    scores.add(drawn[1:], drawn[0])
    found = scores.pooled([str(clip) for clip in range(200)])
    assert found.spread_skill is not None
    assert found.spread_skill[0] == pytest.approx(1.0, abs=0.02)
    assert found.ranks is not None
    assert found.ranks.reliability_index < 0.02
    assert found.ranks.test is not None
    assert found.ranks.test.p > 0.01


def test_a_clip_without_a_truth_counts_nowhere() -> None:
    members, truth, valid = drawn()
    valid[1] = False
    some, others = MemberScores(4, (0.5,)), MemberScores(4, (0.5,))
    some.add(members, truth, valid)
    others.add(members[:, ::2], truth[::2], valid[::2])
    assert np.isnan(some.per_clip("crps")[1]).all()
    found, expected = some.pooled(VIDEOS), others.pooled(["a", "c"])
    assert found.crps == pytest.approx(expected.crps)
    assert found.energy == pytest.approx(expected.energy)
    assert found.exceedance == expected.exceedance


def test_lead_times_without_a_truth_are_null_and_left_out_of_the_mean() -> None:
    members, truth, valid = drawn()
    valid[:, 1] = False
    scores = MemberScores(4, (0.5,))
    scores.add(members, truth, valid)
    content = json.loads(json.dumps(scores.pooled(VIDEOS).to_dict(), allow_nan=False))
    assert content["crps"][1] is content["spread_skill"][1] is content["exceedance"][0]["brier"][1] is None
    assert content["mean"]["crps"] == pytest.approx(content["crps"][0])


def test_the_mean_of_a_logarithmic_range_is_that_of_the_values() -> None:
    values = ValueRange(0.0, 80.0, "mm/h", log=True)
    members = torch.rand(4, 2, 3).double()
    torch.testing.assert_close(values.from_unit(mean_of(members, values)), values.from_unit(members).mean(dim=0))
    torch.testing.assert_close(mean_of(members, BYTES), members.mean(dim=0))
