"""What scores of members say in sentences, and with how many decimals they are shown."""

import math
from collections.abc import Iterable, Mapping

from convlstm_cli.reporting.numbers import MOST_DIGITS, chance, digits_of, figure, number, times
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.members.baselines import ENSEMBLE_BASELINES
from convlstm_cli.scoring.members.member_scores import PooledMembers, Ranks
from convlstm_cli.scoring.members.spectra import RESOLVED, PooledSpectra
from convlstm_cli.scoring.systems import MEMBERS, MODEL

DIGITS = 5
"""Decimals of a CRPS below 10, more where it is small."""
RELIABLE = (0.85, 1.15)
"""Spread over error between which members count as reliable here."""
ALIKE = (0.8, 1.2)
"""Power over the truth's between which members count as textured as the truth here."""


def members_verdict(members: Mapping[str, PooledMembers]) -> list[str]:
    """The conclusions from the scores of members, by the names of their systems, a sentence each."""
    own = members[MEMBERS]
    if not math.isfinite(own.mean_crps):
        return []
    lines = [_accuracy(members)]
    if own.spread_skill is not None:
        lines += _spread(own.spread_skill)
    if own.ranks is not None and own.ranks.pixels:
        lines.append(_evenness(own.ranks))
    return lines


def texture_verdict(spectra: PooledSpectra) -> list[str]:
    """Whether the members are as textured as the truth and change as much, a sentence each."""
    lines = []
    least, most = spectra.ends(MEMBERS)
    if math.isfinite(least):
        span = f"{number(least, 2)} to {number(most, 2)} times the truth's"
        at = f"at wavelengths above {RESOLVED:g} pixels and any lead time"
        lines.append(f"The power of their details {at} is {span}: {_judged(least, most, 'blurred', 'grainy')}.")
    least, most = spectra.temporal_ends(MEMBERS)
    if math.isfinite(least):
        span = f"{number(least, 2)} to {number(most, 2)} times the truth's by period"
        lines.append(f"The power of their changes is {span}: {_judged(least, most, 'sluggish', 'flickering')}.")
    return lines


def _judged(least: float, most: float, less: str, more: str) -> str:
    low, high = ALIKE
    if least >= low and most <= high:
        return "they are like the truth within 20 %"
    if most <= high:
        return f"they are {less}"
    return f"they are {more}" if least >= low else f"some are {less}, others {more}"


def score_digits(values: Iterable[float]) -> int:
    """Decimals that show at least two digits of the least of some means that is above 0."""
    known = [value for value in values if math.isfinite(value) and value > 0]
    if not known:
        return DIGITS
    return min(MOST_DIGITS, max(digits_of(min(known), DIGITS), 1 - math.floor(math.log10(min(known)))))


def _accuracy(members: Mapping[str, PooledMembers]) -> str:
    """The CRPS beside the forecast's and those of what needs no training."""
    own = members[MEMBERS]
    simple = {name: each.phrase for name, each in BASELINES.items()}
    phrases = {name: each.phrase for name, each in ENSEMBLE_BASELINES.items()}
    found = [("the mean absolute error of the forecast", members[MODEL])] if MODEL in members else []
    known = [name for name in simple if name in members]
    if known:
        best = min(known, key=lambda name: members[name].mean_crps)
        found.append((f"that of {simple[best]}, the best single forecast without training", members[best]))
    found += [(f"the CRPS of {phrases[name]}", members[name]) for name in phrases if name in members]
    ratios = [f"{times(own.mean_crps / each.mean_crps)} {what}" for what, each in found if each.mean_crps > 0]
    beside = f": {', '.join(ratios)}" if ratios else ""
    return f"The {own.members} members have a CRPS of {figure(own.mean_crps, own.unit)}{beside}."


def _spread(ratios: list[float]) -> list[str]:
    """Whether the members differ by as much as they are wrong."""
    known = [ratio for ratio in ratios if math.isfinite(ratio)]
    if not known:
        return []
    least, most = min(known), max(known)
    low, high = RELIABLE
    if least >= low and most <= high:
        judgement = "they differ by about as much as they are wrong"
    elif most < low:
        judgement = "they agree more than they are right"
    elif least > high:
        judgement = "they differ more than they are wrong"
    else:
        judgement = "that depends on the lead time"
    return [f"Their spread over error is {number(least, 2)} to {number(most, 2)} by lead time: {judgement}."]


def _evenness(ranks: Ranks) -> str:
    """How even the ranks are, and whether that is chance."""
    line = f"Ranks of the truth among them have a reliability index of {number(ranks.reliability_index, 3)}, 0 at best"
    if ranks.test is None:
        return f"{line}; there are too few videos to test for even ranks."
    bow = "outside the members too often" if ranks.test.bow > 0 else "in the middle of the members too often"
    tilt = "above them" if ranks.test.tilt > 0 else "below them"
    leaning = bow if abs(ranks.test.bow) > abs(ranks.test.tilt) else f"too often {tilt}"
    p = chance(ranks.test.p)
    shown = f"p {p}" if p.startswith("<") else f"p = {p}"
    if ranks.test.p < 0.05:
        return f"{line}; they are not even ({shown}, over {ranks.test.videos} videos): the truth is {leaning}."
    return f"{line}; over {ranks.test.videos} videos they may be even ({shown})."
