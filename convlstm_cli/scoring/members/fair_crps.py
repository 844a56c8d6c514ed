"""The continuous ranked probability score of members at every pixel, in its fair form."""

import torch
from torch import Tensor


def fair_crps(members: Tensor, truth: Tensor) -> Tensor:
    """The fair continuous ranked probability score in the unit of the values (Ferro 2014, Q. J. R. Meteorol. Soc.).

        CRPS = 1/N Σ_i |x_i - y| - 1/(2 N (N - 1)) Σ_i Σ_j |x_i - x_j|

    Its expectation does not depend on the number of members N, and is least where these are drawn from the distribution
    of the truth. The score of a finite ensemble as a distribution (Gneiting & Raftery 2007) divides by N² and so
    rewards many members. A single forecast has no pairs: its score is its absolute error. A fair score of one pixel may
    be negative; its expectation is not.

    Args:
        members: x, (N, ...).
        truth: y, (...).

    Returns:
        (...), in O(N log N) time and O(N) memory: with the members in order x_(1) ≤ ... ≤ x_(N),
        Σ_i Σ_j |x_i - x_j| = 2 Σ_i (2i - N - 1) x_(i).
    """
    count = len(members)
    error = (members - truth).abs().mean(dim=0)
    if count == 1:
        return error
    ordered = members.sort(dim=0).values
    place = torch.arange(1 - count, count, 2, device=members.device, dtype=members.dtype)  # 2i - N - 1
    # No matrix product, which GPUs may round to 10 bits.
    spread = (ordered * place.view(-1, *[1] * truth.ndim)).sum(dim=0)
    return error - spread / (count * (count - 1))
