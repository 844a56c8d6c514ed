"""What members say together at each lead time: their mean, their spread, quantiles, and shares that reach a value."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from convlstm_cli.forecasting.members import MembersFile
from convlstm_cli.video.values import ValueRange


@dataclass(frozen=True)
class LeadTime:
    """The members at one lead time; each tensor is (C, H, W)."""

    mean: Tensor
    """In [0, 1]: the mean of their values, which for a logarithmic range is not that of the network's numbers."""
    spread: Tensor
    """Their standard deviation: the square root of the unbiased variance in [0, 1]."""
    deviation: Tensor
    """That of their values, in the unit of the source; float64."""
    quantiles: tuple[Tensor, ...]
    """In [0, 1], in the order of --quantiles."""
    exceedance: tuple[Tensor, ...]
    """Shares of the members that reach each value of --exceed."""


class Statistics:
    """What is asked about members of one range of values."""

    def __init__(self, values: ValueRange, quantiles: Sequence[float] = (), exceed: Sequence[float] = ()) -> None:
        """`exceed` are values in the unit of `values`; in [0, 1] for 8-bit pictures.

        Raises UsageError for a value that 8-bit pictures cannot have, or where every channel has a range of its own.
        """
        for value in exceed:
            if values.bands or values.as_shares:
                values.check_inside("--exceed", value)
        self._values, self._quantiles = values, tuple(quantiles)
        self._least = [_least(values, value) for value in exceed]

    def at(self, members: MembersFile, lead: int) -> LeadTime:
        """The statistics at a lead time, from 0. Takes the memory of a band of rows of all members at a time."""
        bands = [self._of(band) for _, band in members.bands(lead)]
        columns = [torch.cat(parts, dim=-2) for parts in zip(*bands, strict=True)]
        mean, spread, deviation, *others = columns
        count = len(self._quantiles)
        return LeadTime(mean, spread, deviation, tuple(others[:count]), tuple(others[count:]))

    def _of(self, members: Tensor) -> list[Tensor]:
        """Mean, spread, deviation, quantiles and shares of members (N, C, h, W)."""
        found = [self._mean(members), members.std(dim=0), self._deviation(members)]
        if self._quantiles:
            ordered = members.sort(dim=0).values
            found += [self._quantile(ordered, quantile) for quantile in self._quantiles]
        return found + [(members >= least).float().mean(dim=0) for least in self._least]

    def _mean(self, members: Tensor) -> Tensor:
        mean: Tensor = self._values.share_of(self._values.linear(members).mean(dim=0))
        return mean

    def _deviation(self, members: Tensor) -> Tensor:
        values = self._values.from_unit(members.double().movedim(1, -1).numpy())  # (N, h, W, C)
        return torch.from_numpy(values.std(axis=0, ddof=1)).movedim(-1, 0)

    def _quantile(self, ordered: Tensor, quantile: float) -> Tensor:
        """A quantile of members in rising order, linear between neighbours (type 7 of Hyndman and Fan 1996)."""
        place = quantile * (len(ordered) - 1)
        below = math.floor(place)
        if place == below:
            return ordered[below]
        low, high = (self._values.linear(ordered[at]) for at in (below, below + 1))
        between: Tensor = self._values.share_of(torch.lerp(low, high, place - below))
        return between


def _least(values: ValueRange, value: float) -> float:
    """The network's share from which members reach a value: infinite where the range ends below it."""
    if values.as_shares:
        return value
    return math.inf if value > values.high else -math.inf if value <= values.low else values.least_share(value)


def unreachable(values: ValueRange, exceed: Sequence[float]) -> str | None:
    """What people should know of values that no member reaches, or all do; a clause, None where there are none."""
    if values.bands or values.as_shares:
        return None
    outside = [value for value in exceed if not values.low < value <= values.high]
    if not outside:
        return None
    listed = ",".join(f"{value:g}" for value in outside)
    return f"its values are {values.describe()} for the network, so --exceed {listed} is reached by none or by all"
