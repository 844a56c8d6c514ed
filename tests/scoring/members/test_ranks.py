import numpy as np
import pytest
import torch

from convlstm_cli.scoring.members.ranks import RankHistogram, components, unevenness

VIDEOS = [f"video{number // 2}" for number in range(40)]


def drawn(spread: float = 1.0, bias: float = 0.0, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    """Nine members and the truth of 40 clips, two of each video, which share a part that the members do not know.

    Both are (..., 40, 1, 1, 8, 8) within [0, 1]; pixels of a frame depend on each other.
    """
    generator = torch.Generator().manual_seed(seed)
    frames = torch.randn(10, 40, 1, 1, 1, 1, generator=generator) + 0.5 * torch.randn(
        10, 40, 1, 1, 8, 8, generator=generator
    )
    scaled = 0.5 + 0.08 * frames
    return (0.5 + spread * (scaled[1:] - 0.5) + bias).clamp(0, 1), scaled[0].clamp(0, 1)


def histogram(
    members: torch.Tensor, truth: torch.Tensor, valid: torch.Tensor | None = None, seed: int = 0
) -> RankHistogram:
    ranks = RankHistogram(len(members), seed)
    ranks.add(members, truth, valid)
    return ranks


def test_a_rank_is_the_number_of_members_below_the_truth() -> None:
    members = torch.tensor([0.1, 0.3, 0.5]).view(3, 1, 1, 1, 1, 1)
    for rank, truth in enumerate((0.0, 0.2, 0.4, 0.6)):
        counts = histogram(members, torch.full((1, 1, 1, 1, 1), truth)).counts
        assert counts.tolist() == [[int(each == rank) for each in range(4)]]


def test_equal_values_are_drawn_evenly_the_same_in_any_batches() -> None:
    members = torch.tensor([0.0, 0.0, 0.5]).view(3, 1, 1, 1, 1, 1).expand(-1, 4, 2, 1, 40, 40)
    truth = torch.full((4, 2, 1, 40, 40), 0.0005)  # rounds to the level of two members
    whole = histogram(members, truth)
    assert whole.frequencies == pytest.approx([1 / 3, 1 / 3, 1 / 3, 0.0], abs=0.02)
    parts = RankHistogram(3, seed=0)
    for clip in range(4):
        parts.add(members[:, clip : clip + 1], truth[clip : clip + 1])
    assert (parts.counts == whole.counts).all()


def test_a_pixel_that_equals_all_members_has_no_rank_and_a_missing_one_neither() -> None:
    members, truth = torch.zeros(2, 1, 1, 1, 2, 2), torch.zeros(1, 1, 1, 2, 2)
    members[:, ..., 0, 0] = 0.5
    valid = torch.ones(truth.shape, dtype=torch.bool)
    assert histogram(members, truth, valid).counts.tolist() == [[1, 0, 0]]
    valid[..., 0, 0] = False
    nothing = histogram(members, truth, valid)
    assert nothing.counts.sum() == 0
    assert np.isnan(nothing.reliability_index)
    assert nothing.test(["a"]) is None


def test_the_reliability_index_is_the_sum_of_distances_from_even() -> None:
    assert unevenness([0.25] * 4) == 0.0
    assert unevenness([1.0, 0.0, 0.0, 0.0]) == pytest.approx(2 * 3 / 4)
    assert unevenness([0.4, 0.1, 0.1, 0.4]) == pytest.approx(0.6)


def test_members_drawn_as_the_truth_have_even_ranks() -> None:
    pooled = np.mean([histogram(*drawn(seed=seed)).frequencies for seed in range(30)], axis=0)
    assert unevenness(list(pooled)) < 0.1


def test_the_test_keeps_its_level_where_pixels_depend_on_each_other() -> None:
    """Of even ranks it refuses as many as it says; a chi-square test of all counts refuses nearly all of these."""
    values, chi_square = [], []
    for seed in range(100):
        ranks = histogram(*drawn(seed=seed))
        found = ranks.test(VIDEOS)
        assert found is not None
        values.append(found.p)
        counts = ranks.counts.sum(axis=0)
        expected = counts.sum() / len(counts)
        chi_square.append(float(((counts - expected) ** 2 / expected).sum()))
    assert np.mean(np.array(values) < 0.1) == pytest.approx(0.1, abs=0.07)
    assert np.mean(values) == pytest.approx(0.5, abs=0.08)
    assert np.mean(np.array(chi_square) > 21.67) > 0.9  # the 99 % quantile of 9 degrees of freedom


def test_its_p_value_is_that_of_the_f_distribution() -> None:
    """T² (V - 2) / (2 (V - 1)) has 2 and V - 2 degrees of freedom (Hotelling 1931); its density is integrated here."""
    members, truth = drawn()
    found = histogram(members, truth).test(VIDEOS)
    assert found is not None
    contrasts = np.stack(components(9), axis=1)
    pairs = [slice(first, first + 2) for first in range(0, 40, 2)]
    of_videos = [histogram(members[:, pair], truth[pair], seed=pair.start) for pair in pairs]
    counts = np.concatenate([ranks.counts for ranks in of_videos])
    observed = counts @ contrasts / counts.sum(axis=1).mean()
    mean, videos = observed.mean(axis=0), len(pairs)
    squared = videos * mean @ np.linalg.inv(np.cov(observed.T)) @ mean
    other = videos - 2
    values = np.linspace(squared * other / (2 * (videos - 1)), 2000, 1_000_001)
    density = (1 + 2 * values / other) ** (-(2 + other) / 2)  # of the F distribution with 2 and `other` degrees
    integral = float(((density[1:] + density[:-1]) / 2 * np.diff(values)).sum())
    assert found.p == pytest.approx(integral, rel=1e-4)
    assert (found.tilt, found.bow) == pytest.approx(tuple(mean))


@pytest.mark.parametrize(("spread", "bias", "tilt", "bow"), [(0.4, 0.0, 0, 1), (2.5, 0.0, 0, -1), (1.0, -0.1, 1, 0)])
def test_it_finds_members_that_agree_too_much_or_too_little_or_are_too_low(
    spread: float, bias: float, tilt: int, bow: int
) -> None:
    found = histogram(*drawn(spread, bias)).test(VIDEOS)
    assert found is not None
    assert found.p < 0.01
    assert found.videos == 20
    if tilt:
        assert found.tilt > 0.3
    if bow:
        assert bow * found.bow > 0.3


def test_few_videos_have_no_test() -> None:
    assert histogram(*drawn()).test(["a", "b", "c", "c"] * 10) is None


@pytest.mark.parametrize("members", [2, 20])
def test_the_components_are_orthonormal_and_sum_to_nothing(members: int) -> None:
    tilt, bow = components(members)
    assert [tilt.mean(), bow.mean(), (tilt * bow).mean()] == pytest.approx([0, 0, 0], abs=1e-12)
    assert [np.square(tilt).mean(), np.square(bow).mean()] == pytest.approx([1, 1])
