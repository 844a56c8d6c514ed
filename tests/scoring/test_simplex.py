import itertools

import pytest
import torch
from torch import Tensor

from convlstm_cli.scoring.simplex import best_weights


def covariances(count: int, candidates: int, seed: int = 0) -> Tensor:
    """(count, K, K): positive definite, of candidates that are alike in part."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.randn(count, candidates, 6, generator=generator, dtype=torch.float64)
    factors += 2 * torch.randn(count, 1, 6, generator=generator, dtype=torch.float64)
    factors *= 0.1 + torch.rand(count, candidates, 1, generator=generator, dtype=torch.float64)
    return factors @ factors.mT + 1e-3 * torch.eye(candidates)


@pytest.mark.parametrize("candidates", [1, 2, 3, 4, 5])
def test_no_point_of_the_simplex_is_better(candidates: int) -> None:
    covariance = covariances(100, candidates)
    weights = best_weights(covariance)
    assert weights.min() >= 0
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(100, dtype=torch.float64))
    found = torch.einsum("bi,bij,bj->b", weights, covariance, weights)
    grid = [point for point in itertools.product(range(11), repeat=candidates) if sum(point) == 10]
    others = torch.tensor(grid, dtype=torch.float64) / 10
    errors = torch.einsum("gi,bij,gj->bg", others, covariance, others)
    assert (found <= errors.amin(dim=-1) * (1 + 1e-9)).all()


def test_independent_errors_are_weighted_by_their_inverse_squares() -> None:
    weights = best_weights(torch.diag(torch.tensor([1.0, 2.0, 4.0], dtype=torch.float64)))
    torch.testing.assert_close(weights, torch.tensor([4.0, 2.0, 1.0], dtype=torch.float64) / 7)


def test_a_forecast_whose_errors_are_a_larger_copy_gets_nothing() -> None:
    errors = torch.tensor([[1.0, 0.0], [3.0, 0.1]], dtype=torch.float64)
    assert best_weights(errors @ errors.mT).tolist() == [1.0, 0.0]


def test_a_batch_is_its_parts() -> None:
    covariance = covariances(6, 4).view(2, 3, 4, 4)
    alone = torch.stack([best_weights(each) for each in covariance.flatten(0, 1)])
    torch.testing.assert_close(best_weights(covariance).flatten(0, 1), alone)
