"""The weights of a mean of forecasts that has the least expected squared error."""

import itertools

import torch
from torch import Tensor


def best_weights(covariance: Tensor) -> Tensor:
    """The minimum of w' C w over the simplex, w >= 0 and sum(w) = 1 (Bates and Granger 1969).

    The minimum over all w with sum 1 is C^-1 1 / (1' C^-1 1). Where that has negative weights, the minimum on the
    simplex is the same expression over some of the candidates (Karush, Kuhn and Tucker), so that of all subsets the
    best one without negative weights is exact. There are 2^K - 1 subsets, which suits a handful of candidates.

    Args:
        covariance: (..., K, K), mean products of the candidates' errors; symmetric and positive definite.

    Returns:
        (..., K) of the same type.
    """
    candidates = covariance.shape[-1]
    subsets = torch.tensor(
        [subset for subset in itertools.product((0, 1), repeat=candidates) if any(subset)],
        dtype=covariance.dtype,
        device=covariance.device,
    )  # (S, K)
    # Rows of candidates outside a subset become those of the unit matrix, which gives them a weight of 0.
    inside = subsets[:, :, None] * subsets[:, None, :]
    systems = inside * covariance[..., None, :, :] + torch.diag_embed(1 - subsets)  # (..., S, K, K)
    weights: Tensor = torch.linalg.solve(systems, subsets.expand(systems.shape[:-1]))
    total = weights.sum(dim=-1, keepdim=True)
    weights = weights / total
    # 1 / total is w' C w at the subset's minimum.
    error = torch.where((weights < 0).any(dim=-1) | (total[..., 0] <= 0), torch.inf, 1 / total[..., 0])
    best = error.argmin(dim=-1)  # (...)
    return torch.take_along_dim(weights, best[..., None, None], dim=-2)[..., 0, :]
