"""The guard: a forecast is checked on the clip's own past and mixed with the baselines by what the check supports.

From a few positions of the input frames, the origins, the network and every baseline forecast the input frames that
follow (a hindcast), whose truth is known. The errors e_i of the K candidates give one matrix for each lead time l,

    C_l = mean over origins, pixels that have a value, and channels of e_i e_j                          (K x K)

in which the network's squared error counts as `SHORTER` of what it is, since it sees fewer frames in the check than in
the forecast. It is made steadier by those of other lead times, after each has been divided by its mean diagonal,

    S_l = sum over j of DECAY^|l - j| C_j / mean(diag C_j)

and gives the weights of the mean with the least expected squared error (Bates and Granger 1969, Operational Research
Quarterly 20, 451-468, extended to K forecasts by Newbold and Granger 1974), which are at least 0 and sum to 1:

    w_l = argmin w' (S_l + RIDGE diag S_l) w

The ridge keeps candidates that are nearly the same from getting all or nothing. The weights then go back to the network
as far as the check allows, (1 - s) w_l + s e_network with the largest s up to 1 for which the mix is no worse than the
best single candidate: a mean has a low squared error, but it blurs, and so short a check is in error itself. So the
forecast of a network that is the best candidate stays as it is, but where candidates err alike and the ridge's mix is
worse than the best of them: that mix is kept as a hedge (it pays on radar and on things that hardly move).

Beyond the longest hindcast, of L lead times, each candidate's error is taken to grow on as a power of the lead time,
and the correlations to stay:

    C_l,ij = C_L,ij (l / L)^(p_i + p_j)                             p_i: slope of log sqrt(C_l,ii) over log l, 0 to 1

Candidates that drift have no weight there. After `REACH` times L the weights stay as they are.

The check decides for each lead time, and its decisions may differ between neighbours, most of all where it ends. At
last the weights of the candidates that do not drift are averaged over lead times, by DECAY^|l - j|, so that a film of
the forecast does not change its look there.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from convlstm_cli.scoring.baselines import BASELINES, Baseline
from convlstm_cli.scoring.simplex import best_weights
from convlstm_cli.scoring.systems import MODEL

ORIGINS = 3
"""Origins at most: the last ones."""
LEAST_SEEN, LEAST_AHEAD = 2, 2
"""Least frames before an origin, since one frame shows no motion, and after it."""
DECAY = 0.7
"""What another lead time counts for in the matrix of a lead time, for each frame between them."""
RIDGE = 0.4
"""What is added to each candidate's squared error, as a share of it."""
SHORTER = 0.85
"""The network's squared error from all input frames, over that from those before an origin. With the shipped weights
and 10 input frames, measured against optical flow, it is 0.81 to 0.84 on sample_data, 0.89 to 0.93 on made-up clips and
0.96 to 1.00 on radar."""
WHOLE = 1.0 - 1e-4
"""Share of a pixel with a value from which it has all of it: that of shrunk frames is a rounded mean."""
EXACT = 1e-12
"""Squared error, as a share of the candidates' mean, below which a candidate counts as exact."""
REACH = 2
"""Lead times that errors are extrapolated to, in those of the longest hindcast."""

Forecast = Callable[[Tensor, int], Tensor]
"""Maps frames (B, T, C, H, W) in [0, 1] and a horizon to (B, horizon, C, H, W)."""


def origins_of(frames: int) -> tuple[int, ...]:
    """Numbers of frames after which the rest of an input of `frames` frames is forecast; none for a short input."""
    last = frames - LEAST_AHEAD
    return tuple(range(max(LEAST_SEEN, last - ORIGINS + 1), last + 1))


@dataclass(frozen=True)
class Guard:
    """The weights by which the forecasts of some clips are mixed."""

    origins: tuple[int, ...]
    """As `origins_of` gives them."""
    names: tuple[str, ...]
    """The K candidates: `MODEL` and the names of the baselines."""
    weights: Tensor
    """(B, `REACH` L, K) float64 on the CPU: by clip and lead time; the last ones hold for all later lead times."""

    @classmethod
    def check(
        cls, network: Forecast, frames: Tensor, channels: int | None = None, there: Tensor | None = None
    ) -> "Guard | None":
        """Checks a network and every baseline on the input; None for too few frames.

        Args:
            network: reads the frames as they are.
            frames: (B, T, C, H, W) in [0, 1], the channels that are forecast first.
            channels: how many these are; None for all.
            there: share of each pixel that has a value, (B, T, 1, H, W) in [0, 1], of which pixels below 1 count for
                nothing; None for 1.
        """
        baselines = {name: _shown(baseline, channels) for name, baseline in BASELINES.items()}
        return cls.of({MODEL: network, **baselines}, frames, channels, there)

    @classmethod
    def of(
        cls,
        candidates: Mapping[str, Forecast],
        frames: Tensor,
        channels: int | None = None,
        there: Tensor | None = None,
    ) -> "Guard | None":
        """Checks candidates by name, `MODEL` first and then all baselines; the rest is as for `check`.

        Each is asked for its forecast from each of the origins, with all channels.
        """
        origins = origins_of(frames.shape[1])
        if not origins:
            return None
        covariance = error_covariance(list(candidates.values()), frames, origins, channels, there)
        trust = torch.ones(len(candidates), dtype=covariance.dtype)
        trust[0] = SHORTER**0.5
        drifting = [name in BASELINES and BASELINES[name].drifts for name in candidates]
        covariance = trust[:, None] * covariance * trust
        return cls(origins, tuple(candidates), weights_by_lead(covariance, torch.tensor(drifting)))

    @property
    def used(self) -> tuple[str, ...]:
        """Names of the candidates that have weight at some lead time of some clip."""
        most = self.weights.amax(dim=(0, 1)).tolist()
        return tuple(name for name, weight in zip(self.names, most, strict=True) if weight > 0)

    def at(self, first: int, steps: int) -> Tensor:
        """The weights at `steps` lead times from `first` on, which counts from 0: (B, steps, K)."""
        return self.weights[:, torch.arange(first, first + steps).clamp(max=self.weights.shape[1] - 1)]

    def mix(self, forecasts: Mapping[str, Tensor], first: int = 0) -> Tensor:
        """The weighted mean of forecasts.

        Args:
            forecasts: of the candidates by name, each (B, n, C, H, W) on one device; those without weight may be
                missing.
            first: lead time of the first of these n frames, from 0.

        Returns:
            (B, n, C, H, W) of the type of the network's forecast.
        """
        network = forecasts[MODEL]
        weights = self.at(first, network.shape[1]).to(network)
        mixed = torch.zeros_like(network)
        for position, name in enumerate(self.names):
            if name in forecasts:
                mixed += weights[:, :, position, None, None, None] * forecasts[name]
        return mixed.clamp_(0.0, 1.0)  # weights sum to 1 but for rounding


def error_covariance(
    candidates: list[Forecast],
    frames: Tensor,
    origins: tuple[int, ...],
    channels: int | None = None,
    there: Tensor | None = None,
) -> Tensor:
    """C_l of each clip: (B, L, K, K) float64 on the CPU, with L the lead times of the longest hindcast.

    `frames`, `channels` and `there` are as for `Guard.check`; every candidate gets all channels. 0 where no pixel
    counts.
    """
    clips, count = len(frames), len(candidates)
    ahead = [frames.shape[1] - origin for origin in origins]
    total = torch.zeros(clips, max(ahead), count, count, dtype=torch.float64)
    checks = torch.zeros(clips, max(ahead), dtype=torch.float64)
    for origin, steps in zip(origins, ahead, strict=True):
        forecasts = [candidate(frames[:, :origin], steps) for candidate in candidates]
        for lead in range(steps):  # one at a time, since float64 takes twice the memory of the forecasts
            truth = frames[:, origin + lead, :channels]
            errors = [each[:, lead] - truth for each in forecasts]
            if there is None:
                checks[:, lead] += 1.0
            else:
                counts = there[:, origin + lead] > WHOLE
                errors = [counts * each for each in errors]
                checks[:, lead] += counts.double().mean(dim=(1, 2, 3)).cpu()
            rows = torch.stack([each.flatten(1) for each in errors], dim=1).cpu().double()
            total[:, lead] += rows @ rows.mT / rows.shape[-1]
    return total / checks[..., None, None].clamp(min=torch.finfo(checks.dtype).tiny)


def _shown(baseline: Baseline, channels: int | None) -> Forecast:
    """A baseline's forecast of the first channels of frames."""
    return lambda frames, horizon: baseline.forecast(frames[:, :, :channels], horizon)


def weights_by_lead(covariance: Tensor, drifting: Tensor) -> Tensor:
    """The weights of the lead times of the longest hindcast and of those beyond, (B, `REACH` L, K).

    Args:
        covariance: C_l, (B, L, K, K) float64, L at least 2; the network is the first candidate.
        drifting: which candidates drift, (K,) bool.
    """
    near = mixing_weights(covariance)
    leads = near.shape[1]
    weights = near.new_zeros(len(near), REACH * leads, near.shape[2])
    weights[:, :leads] = near
    weights[:, leads:, ~drifting] = mixing_weights(extrapolated(covariance[..., ~drifting, :][..., ~drifting]))[
        :, leads:
    ]
    # Those that drift keep theirs, which end with the check.
    steady = torch.einsum("lm,bmk->blk", _nearness(REACH * leads).to(weights), weights[..., ~drifting])
    rest = 1.0 - weights[..., drifting].sum(dim=-1, keepdim=True)
    weights[..., ~drifting] = steady * (
        rest / steady.sum(dim=-1, keepdim=True).clamp(min=torch.finfo(steady.dtype).tiny)
    )
    return weights


def extrapolated(covariance: Tensor) -> Tensor:
    """C_l and what follows from it beyond the longest hindcast, (B, `REACH` L, K, K), from (B, L, K, K)."""
    leads = covariance.shape[1]
    tiny = torch.finfo(covariance.dtype).tiny
    errors = covariance.diagonal(dim1=-2, dim2=-1).clamp(min=tiny).log() / 2  # (B, L, K)
    lead = torch.arange(1, leads + 1).to(covariance).log()
    centred = lead - lead.mean()
    power = torch.einsum("l,blk->bk", centred / centred.square().sum(), errors).clamp(0.0, 1.0)
    ahead = torch.arange(leads + 1, REACH * leads + 1).to(covariance) / leads
    growth = ahead[:, None] ** power[:, None]  # (B, REACH L - L, K)
    return torch.cat((covariance, covariance[:, -1:] * growth[..., None] * growth[..., None, :]), dim=1)


def mixing_weights(covariance: Tensor) -> Tensor:
    """The weights by lead time, (B, L, K), from C_l (B, L, K, K) float64; the network is the first candidate.

    Where candidates are exact at all lead times, the first of them has all the weight.
    """
    steady = _steadied(covariance)
    errors = steady.diagonal(dim1=-2, dim2=-1)  # (B, L, K)
    exact = errors <= EXACT
    certain = exact.any(dim=-1, keepdim=True)
    regular = torch.where(certain[..., None], torch.eye(errors.shape[-1]).to(steady), steady)
    weights = best_weights(regular + RIDGE * torch.diag_embed(regular.diagonal(dim1=-2, dim2=-1)))
    mixed = _towards_network(weights, steady)
    first = torch.zeros_like(weights).scatter_(-1, exact.byte().argmax(dim=-1, keepdim=True), 1.0)
    return torch.where(certain, first, mixed)


def _nearness(leads: int) -> Tensor:
    """DECAY^|l - j| of lead times, (L, L)."""
    numbers = torch.arange(leads)
    return DECAY ** (numbers[:, None] - numbers).abs()


def _steadied(covariance: Tensor) -> Tensor:
    """S_l from C_l, both (B, L, K, K)."""
    nearness = _nearness(covariance.shape[1]).to(covariance)
    scale = covariance.diagonal(dim1=-2, dim2=-1).mean(dim=-1)[..., None, None]
    return torch.einsum("lm,bmij->blij", nearness, covariance / scale.clamp(min=torch.finfo(scale.dtype).tiny))


def _towards_network(weights: Tensor, covariance: Tensor) -> Tensor:
    """Moves weights (B, L, K) to the network by the largest share that the check allows.

    With d = e_network - w, the squared error at share s is the parabola w'Sw + 2 s w'Sd + s^2 d'Sd.
    """
    limit = covariance.diagonal(dim1=-2, dim2=-1).amin(dim=-1)
    network = torch.zeros_like(weights)
    network[..., 0] = 1.0
    change = network - weights

    def product(one: Tensor, other: Tensor) -> Tensor:
        return torch.einsum("bli,blij,blj->bl", one, covariance, other)

    excess, slope, bend = product(weights, weights) - limit, product(weights, change), product(change, change)
    root = (slope.square() - bend * excess).clamp(min=0.0).sqrt() - slope
    share = (root / bend.clamp(min=torch.finfo(bend.dtype).tiny)).clamp(0.0, 1.0)
    share = torch.where(excess <= 0, share, 0.0)
    return weights + share[..., None] * change
