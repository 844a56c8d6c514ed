import pytest
import torch
import torch.nn.functional as F
from helpers import moving_square
from torch import Tensor

from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.guard import (
    Forecast,
    Guard,
    error_covariance,
    extrapolated,
    mixing_weights,
    origins_of,
    weights_by_lead,
)
from convlstm_cli.scoring.guarded import GuardedPieces
from convlstm_cli.scoring.systems import MODEL

NAMES = (MODEL, *BASELINES)


def moving(frames: int, batch: int = 1, channels: int = 1) -> Tensor:
    """(B, T, C, 32, 32) in [0, 1]: squares that move, each clip another, under some noise."""
    clips = [torch.from_numpy(moving_square(frames, seed, channels=channels)) for seed in range(batch)]
    noise = 0.02 * torch.rand(batch, frames, channels, 32, 32, generator=torch.Generator().manual_seed(0))
    return (torch.stack(clips).permute(0, 1, 4, 2, 3).float() / 255 + noise).clamp(0, 1)


def blurred(frames: Tensor, horizon: int) -> Tensor:
    """A stand-in for a network: blurs the last frame."""
    last = F.avg_pool2d(frames[:, -1], 5, stride=1, padding=2)
    return last[:, None].expand(-1, horizon, -1, -1, -1)


def forecasts(frames: Tensor, horizon: int) -> dict[str, Tensor]:
    """Those of all candidates."""
    simple = {name: baseline.forecast(frames, horizon) for name, baseline in BASELINES.items()}
    return {MODEL: blurred(frames, horizon), **simple}


def checked(frames: Tensor) -> Guard:
    guard = Guard.check(blurred, frames)
    assert guard is not None
    return guard


def test_origins_leave_two_frames_before_and_after() -> None:
    assert {frames: origins_of(frames) for frames in (1, 2, 3, 4, 5, 6, 10, 30)} == {
        1: (),
        2: (),
        3: (),
        4: (2,),
        5: (2, 3),
        6: (2, 3, 4),
        10: (6, 7, 8),
        30: (26, 27, 28),
    }


@pytest.mark.parametrize("frames", [1, 2, 3])
def test_a_short_input_is_not_checked(frames: int) -> None:
    assert Guard.check(blurred, moving(frames)) is None


@pytest.mark.parametrize("frames", [4, 5, 6, 10])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("batch", [1, 3])
def test_the_mix_is_a_mean_of_the_candidates(frames: int, channels: int, batch: int) -> None:
    clip = moving(frames, batch, channels)
    guard = checked(clip)
    assert guard.names == NAMES
    assert guard.weights.shape == (batch, 2 * (frames - guard.origins[0]), len(NAMES))
    assert guard.weights.min() >= 0
    torch.testing.assert_close(guard.weights.sum(dim=-1), torch.ones(guard.weights.shape[:2], dtype=torch.float64))
    candidates = forecasts(clip, 12)
    mixed = guard.mix(candidates)
    assert mixed.shape == (batch, 12, channels, 32, 32)
    assert mixed.dtype == torch.float32
    stacked = torch.stack(list(candidates.values()))
    assert (mixed <= stacked.amax(dim=0) + 1e-6).all()
    assert (mixed >= stacked.amin(dim=0) - 1e-6).all()


def test_each_clip_of_a_batch_is_checked_alone() -> None:
    clips = moving(8, batch=3)
    together = checked(clips).weights
    torch.testing.assert_close(torch.cat([checked(clip[None]).weights for clip in clips]), together)
    torch.testing.assert_close(checked(clips.flip(0)).weights, together.flip(0))


@pytest.mark.parametrize(("share", "kept"), [(1.1, True), (1.3, False)])
def test_the_network_may_be_a_little_worse_from_the_fewer_frames_of_a_check(share: float, kept: bool) -> None:
    clip = moving(8)
    noise = torch.randn(2, *clip.shape, generator=torch.Generator().manual_seed(0))

    def erring(errors: Tensor) -> Forecast:
        return lambda frames, horizon: (clip + errors)[:, frames.shape[1] : frames.shape[1] + horizon]

    guard = Guard.of({MODEL: erring(share**0.5 * noise[0]), "optical_flow": erring(noise[1])}, clip)
    assert guard is not None
    assert torch.allclose(guard.weights[..., 0], torch.ones(()).double()) == kept


def test_errors_are_those_of_forecasts_from_the_past_alone() -> None:
    clip = moving(7)
    altered = torch.cat((clip[:, :6], 1 - clip[:, 6:]), dim=1)
    origins = (4, 5)
    seen: list[int] = []

    def network(frames: Tensor, horizon: int) -> Tensor:
        seen.append(frames.shape[1])
        assert frames.shape[1] + horizon == 7
        return blurred(frames, horizon)

    found = error_covariance([network], clip, origins)
    assert seen == [4, 5]
    expected = [
        torch.stack([(blurred(clip[:, :origin], 1) - clip[:, origin + lead]).double().square().mean() for origin in at])
        for lead, at in ((0, (4, 5)), (1, (4, 5)), (2, (4,)))
    ]
    assert found.flatten().tolist() == pytest.approx([float(each.mean()) for each in expected])
    other = error_covariance([network], altered, origins)
    assert float(other[0, 0, 0, 0]) == pytest.approx(float(found[0, 0, 0, 0]))  # lead 1 ends before the altered frame
    assert float(other[0, 2, 0, 0]) != pytest.approx(float(found[0, 2, 0, 0]))


def test_a_check_is_of_the_pixels_that_have_a_value() -> None:
    """Pixels of which a part has none count for nothing, and a frame without any in no lead time."""
    clip = moving(7)
    there = (torch.rand(1, 7, 1, 32, 32, generator=torch.Generator().manual_seed(0)) < 0.7).float()
    there[:, :, :, :4] = 0.9
    there[:, 5] = 0.0
    found = error_covariance([BASELINES["persistence"].forecast], clip, (4, 5), None, there)
    known = there[:, 6] == 1  # of the two frames that are two ahead, the other is frame 5
    for lead, last in ((1, 4), (2, 3)):
        error = (clip[:, last] - clip[:, 6]).double()[known]
        assert float(found[0, lead, 0, 0]) == pytest.approx(float(error.square().mean()))
    everywhere = error_covariance([BASELINES["persistence"].forecast], clip, (4, 5), None, torch.ones_like(there))
    assert torch.equal(everywhere, error_covariance([BASELINES["persistence"].forecast], clip, (4, 5)))


def errors_of(seed: int, clips: int = 50, leads: int = 4) -> Tensor:
    """(B, L, K, K) float64: covariances of errors of any scale and likeness."""
    generator = torch.Generator().manual_seed(seed)
    errors = torch.randn(clips, leads, 4, 8, generator=generator, dtype=torch.float64)
    errors += torch.randn(clips, leads, 1, 8, generator=generator, dtype=torch.float64)
    scale = 10 ** torch.empty(clips, leads, 4, 1, dtype=torch.float64).uniform_(-3, 0, generator=generator)
    return (errors * scale) @ (errors * scale).mT / 8


def squared(weights: Tensor, covariance: Tensor) -> Tensor:
    return torch.einsum("bli,blij,blj->bl", weights, covariance, weights)


@pytest.mark.parametrize("seed", range(4))
def test_the_check_finds_the_mix_no_worse_than_the_best_candidate(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one lead time and no ridge, the matrix that the weights are chosen by is that of the errors."""
    covariance = errors_of(seed, leads=1)
    best = covariance.diagonal(dim1=-2, dim2=-1).amin(dim=-1)
    ridged = mixing_weights(covariance)
    assert (squared(ridged, covariance) <= 1.2 * best).all()
    monkeypatch.setattr("convlstm_cli.scoring.guard.RIDGE", 0.0)
    weights = mixing_weights(covariance)
    assert (squared(weights, covariance) <= best * (1 + 1e-9)).all()


def test_the_network_stays_alone_where_it_is_the_best_candidate() -> None:
    alike = torch.eye(4, dtype=torch.float64)[None, None]
    assert mixing_weights(alike)[0, 0].tolist() == pytest.approx([1.0, 0.0, 0.0, 0.0])
    better = torch.diag(torch.tensor([0.5, 1.0, 1.0, 1.0], dtype=torch.float64))[None, None]
    assert mixing_weights(better)[0, 0].tolist() == pytest.approx([1.0, 0.0, 0.0, 0.0])


@pytest.mark.parametrize("network", [1.2, 3.0, 1e4])
def test_a_network_that_is_not_the_best_gets_as_much_as_makes_the_mix_as_good_as_that(network: float) -> None:
    covariance = torch.diag(torch.tensor([network, 1.0, 2.0, 2.0], dtype=torch.float64))[None, None]
    weights = mixing_weights(covariance)
    assert squared(weights, covariance)[0, 0] == pytest.approx(1.0)
    assert 0 < weights[0, 0, 0] < 1


def test_scale_does_not_matter() -> None:
    covariance = errors_of(0)
    torch.testing.assert_close(mixing_weights(covariance * 1e-9), mixing_weights(covariance))


@pytest.mark.parametrize("channels", [1, 3])
def test_copying_is_exact_on_a_still_clip_and_the_mix_is_copying(channels: int) -> None:
    clip = moving(1, batch=2, channels=channels).expand(-1, 10, -1, -1, -1)
    mixed = checked(clip).mix(forecasts(clip, 15))
    assert torch.equal(mixed, clip[:, :1].expand(-1, 15, -1, -1, -1))


def test_a_network_that_copies_keeps_a_still_clip_to_itself() -> None:
    clip = moving(1).expand(-1, 10, -1, -1, -1)
    guard = Guard.check(BASELINES["persistence"].forecast, clip)
    assert guard is not None
    assert guard.weights[0].tolist() == [[1.0, 0.0, 0.0, 0.0]] * 8


def test_still_and_moving_clips_share_a_batch() -> None:
    clips = torch.cat((moving(8), moving(1).expand(-1, 8, -1, -1, -1)))
    weights = checked(clips).weights
    torch.testing.assert_close(weights[:1], checked(clips[:1]).weights)
    assert weights[1].tolist() == [[0.0, 1.0, 0.0, 0.0]] * 8


def test_a_network_that_is_the_same_as_a_baseline_shares_its_weight() -> None:
    guard = Guard.check(BASELINES["persistence"].forecast, moving(8))
    assert guard is not None
    assert torch.isfinite(guard.weights).all()


def test_later_lead_times_have_the_last_weights() -> None:
    guard = checked(moving(8))
    assert guard.weights.shape[1] == 8
    assert torch.equal(guard.at(0, 10)[:, 7:], guard.weights[:, [7, 7, 7]])
    assert torch.equal(guard.at(30, 2), guard.weights[:, [7, 7]])


def test_what_drifts_is_mixed_only_at_lead_times_that_were_checked() -> None:
    clip = torch.linspace(0.1, 0.4, 8).view(1, 8, 1, 1, 1) * torch.rand(1, 1, 1, 32, 32)
    weights = checked(clip).weights[0, :, NAMES.index("linear_trend")]
    assert (weights[:4] > 0.9).all()
    assert (weights[4:] == 0).all()


def test_errors_grow_on_as_a_power_of_the_lead_time() -> None:
    leads = torch.arange(1, 9, dtype=torch.float64)
    deviations = torch.stack([0.3 * leads**power for power in (0.0, 0.25, 0.9)], dim=-1)  # (8, 3)
    correlation = torch.full((3, 3), 0.4, dtype=torch.float64).fill_diagonal_(1.0)
    truth = (deviations[:, :, None] * deviations[:, None] * correlation)[None]
    torch.testing.assert_close(extrapolated(truth[:, :4]), truth)


def test_weights_change_smoothly_where_the_check_decides_otherwise_from_lead_to_lead() -> None:
    """Candidate 1 is the better one at two lead times, and candidate 0 at all others; candidate 2 drifts."""
    errors = torch.tensor([[1.0, 0.01, 9.0]] * 2 + [[0.01, 1.0, 9.0]] * 2).double()
    alone = mixing_weights(torch.diag_embed(errors)[None])[0, :, 1]
    weights = weights_by_lead(torch.diag_embed(errors)[None], torch.tensor([False, False, True]))[0]
    assert weights[:, 1].diff().abs().max() < 0.5 * alone.diff().abs().max()
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(8).double())


def test_further_ahead_the_weight_moves_to_the_candidate_whose_error_grows_least() -> None:
    leads = torch.arange(1, 5, dtype=torch.float64)
    covariance = torch.diag_embed(torch.stack((0.04 * leads**2, torch.ones(4).double()), dim=-1))[None]
    weights = weights_by_lead(covariance, torch.tensor([False, False]))[0, :, 1]
    assert (weights.diff() > -1e-9).all()
    assert weights[3] < 0.02
    assert weights[-1] > 0.05


@pytest.mark.parametrize("chunk", [1, 3, 20])
def test_pieces_are_the_whole(chunk: int) -> None:
    clip = moving(8)
    guard, whole = checked(clip), forecasts(clip, 11)
    pieces = GuardedPieces(guard, clip, 11, chunk)
    mixed = [pieces.mix(whole[MODEL][:, first : first + chunk]) for first in range(0, 11, chunk)]
    torch.testing.assert_close(torch.cat(mixed, dim=1), guard.mix(whole))


def test_pixels_without_a_value_count_for_nothing_in_the_check() -> None:
    clip = moving(6)
    there = torch.ones_like(clip[:, :, :1])
    there[..., :9] = 0.0
    altered = torch.where(there > 0, clip, torch.rand_like(clip))
    seen: list[int] = []

    def network(frames: Tensor, horizon: int) -> Tensor:
        seen.append(frames.shape[2])
        return frames[:, -1:, : clip.shape[2]].expand(-1, horizon, -1, -1, -1)

    found = error_covariance([network], torch.cat((altered, there), dim=2), (4,), clip.shape[2], there)
    assert seen == [clip.shape[2] + 1]
    errors = (clip[:, 4] - altered[:, 3])[..., 9:].double().square().mean()
    assert float(found[0, 0, 0, 0]) == pytest.approx(float(errors))
