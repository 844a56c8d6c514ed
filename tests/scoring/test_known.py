import json

import pytest
import torch

from convlstm_cli.scoring.known import KnownFuture, KnownScores
from convlstm_cli.scoring.members.fair_crps import fair_crps
from convlstm_cli.scoring.scores import score
from convlstm_cli.video.values import ValueRange


def frames(count: int, seed: int) -> torch.Tensor:
    return torch.rand(1, count, 1, 16, 16, generator=torch.Generator().manual_seed(seed))


def known(spread: torch.Tensor | None) -> KnownScores:
    """Scores of a forecast of 5 frames of which 4 are known, computed in pieces of 3."""
    future = KnownFuture(frames(1, 0), 3)
    forecast, truth = frames(5, 1), frames(4, 2)
    future.add(forecast[:, :3], truth[:, :3], None if spread is None else spread[:, :3])
    future.add(forecast[:, 3:], truth[:, 3:], None if spread is None else spread[:, 3:])
    return future.scores()


def test_pieces_are_scored_as_the_whole_beside_copying_the_last_frame() -> None:
    scores = known(None)
    assert scores.model.clips == 1
    assert scores.lead_times == 4
    assert scores.model.by_lead_time["mse"] == pytest.approx(score(frames(5, 1)[:, :4], frames(4, 2)).mse)
    copied = score(frames(1, 0).expand(-1, 4, -1, -1, -1), frames(4, 2))
    assert scores.persistence.by_lead_time["mse"] == pytest.approx(copied.mse)
    model, persistence = scores.model.mean["mse"], scores.persistence.mean["mse"]
    assert model is not None
    assert persistence is not None
    assert scores.skill == pytest.approx(1 - model / persistence)
    assert scores.spread_skill is None


def test_an_ensemble_has_a_ratio_of_spread_to_error() -> None:
    spread = torch.full((1, 5, 1, 16, 16), 0.1)
    ratio = known(spread).spread_skill
    assert ratio is not None
    mse = known(None).model.by_lead_time["mse"]
    expected = [(4 / 3 * 0.01 / error) ** 0.5 for error in mse if error]
    assert ratio.by_lead_time == pytest.approx(expected)
    assert ratio.mean == pytest.approx((4 / 3 * 0.01 / (sum(filter(None, mse)) / 4)) ** 0.5)


@pytest.mark.parametrize("gaps", [False, True])
def test_members_have_the_crps_of_the_pixels_that_are_known(gaps: bool) -> None:
    members, truth = torch.rand(5, 1, 16, 12), frames(1, 2)[0, 0, :, :, :12]
    there = torch.arange(12).expand(1, 16, 12) < 7 if gaps else None
    future = KnownFuture(frames(1, 0), 5, ValueRange(0.0, 40.0, "mm/h"))
    bands = [slice(0, 9), slice(9, 16)]
    future.add(frames(1, 1), frames(1, 2), None)
    future.add_members([(band, members[:, :, band]) for band in bands], truth, there)
    found = future.scores()
    pixels = 40 * fair_crps(members, truth)
    assert found.crps is not None
    assert found.crps.mean == pytest.approx(pixels[there].mean().item() if there is not None else pixels.mean().item())
    assert found.crps.by_lead_time == [found.crps.mean]
    assert KnownScores.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_scores_come_back_from_json() -> None:
    for scores in (known(None), known(frames(5, 3))):
        assert KnownScores.from_dict(json.loads(json.dumps(scores.to_dict()))) == scores
    assert "spread_skill" not in known(None).to_dict()
    with pytest.raises(ValueError, match="model"):
        KnownScores.from_dict({**known(None).to_dict(), "model": 3})
