"""What results say in sentences, for the terminal and for the reports alike."""

import math
from collections.abc import Iterable, Sequence
from typing import Protocol

from convlstm_cli.reporting.members_wording import members_verdict, texture_verdict
from convlstm_cli.reporting.numbers import MOST_DIGITS, digits_of, times
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.metrics import Metric
from convlstm_cli.scoring.result import EvaluationReport

FEW_VIDEOS = 10
"""Percentile intervals of a bootstrap over fewer videos are known to be too short."""


class Averaged(Protocol):
    """Metrics with their means: `PooledScores` or `PooledEvents`."""

    @property
    def mean(self) -> dict[str, float | None]:
        """Over all lead times, by the names of the metrics."""


def evaluation_verdict(report: EvaluationReport) -> list[str]:
    """The conclusions from an evaluation, a sentence each, the bad news first."""
    better = [(name, _comparison(report, name)) for name in report.skills]
    lines = [sentence for _, (worse, sentence) in better if worse]
    lines += [sentence for _, (worse, sentence) in better if not worse]
    lines += _guarded(report)
    lines += [] if report.members is None else members_verdict(report.members)
    lines += [] if report.spectra is None else texture_verdict(report.spectra)
    videos = len(report.videos)
    unsure = [BASELINES[name].phrase for name, skill in report.skills.items() if _holds_zero(skill.interval)]
    if unsure:
        lines.append(
            f"The interval holds 0 against {' and '.join(unsure)}: {videos} videos do not settle which of the two is "
            "better."
        )
    if report.no_interval is not None:
        lines.append(f"There is no interval: {report.no_interval}.")
    elif videos < FEW_VIDEOS:
        lines.append(f"From {videos} videos an interval is a rough guess, and rather too short.")
    for which, clip in (("worst", report.worst[0]), ("best", report.best[0])):
        lines.append(f"Against copying, the {which} clip is that of {clip.video} from frame {clip.first_frame}.")
    return lines


def worse_leads(mse: Sequence[float], reference: Sequence[float]) -> list[int]:
    """The lead times, from 1, at which the forecast has a higher MSE than the reference."""
    return [lead for lead, (ours, theirs) in enumerate(zip(mse, reference, strict=True), start=1) if ours > theirs]


def ranges(numbers: Sequence[int]) -> str:
    """Rising numbers in short: 1 to 3, 7."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in found)


def decimals(metric: Metric, systems: Iterable[Averaged]) -> int:
    """Decimals for a metric of several systems; for small errors as many as show two digits of the least mean."""
    means = [mean for scores in systems if (mean := scores.mean[metric.name])]
    if not means or not (metric.smaller_is_better or metric.power):
        return metric.decimals
    # Biases near 0 are no small errors: the largest counts.
    shown = min(means) if metric.smaller_is_better else max(map(abs, means))
    return min(MOST_DIGITS, max(digits_of(shown, metric.decimals), 1 - math.floor(math.log10(shown))))


def _comparison(report: EvaluationReport, name: str) -> tuple[bool, str]:
    """Whether the forecast is worse than a baseline, and the sentence that says how it compares."""
    model, baseline, phrase = report.evaluation.model, report.evaluation.baselines[name], BASELINES[name].phrase
    mse, reference = model.mean_mse, baseline.mean_mse
    worse, leads = worse_leads(model.mse, baseline.mse), len(model.mse)
    ratio = f"{times(mse / reference)} its MSE" if reference else "it is exact here"
    if mse > reference:
        where = "at every lead time" if len(worse) == leads else f"at lead times {ranges(worse)} of {leads}"
        return True, f"The forecast is WORSE than {phrase}: {ratio}, {where}."
    if mse == reference:
        return False, f"The forecast is as good as {phrase}, no better."
    but = f", but worse at lead times {ranges(worse)} of {leads}" if worse else ", at every lead time"
    return False, f"The forecast is better than {phrase}: {ratio}{but}."


def _guarded(report: EvaluationReport) -> list[str]:
    """What the guard changes: the forecast as `predict` writes it, beside the network alone and the best baseline."""
    guarded = report.evaluation.guarded
    if guarded is None:
        return []
    model, baselines = report.evaluation.model.mean_mse, report.evaluation.baselines
    best = min(baselines, key=lambda name: baselines[name].mean_mse)
    reference, phrase = baselines[best].mean_mse, BASELINES[best].phrase
    if not model or not reference:
        return []
    worse = worse_leads(guarded.mse, baselines[best].mse)
    but = f", and is worse at lead times {ranges(worse)}" if worse else ""
    return [
        f"The guarded forecast, which predict writes, has {times(guarded.mean_mse / model)} the MSE of the forecast "
        f"alone and {times(guarded.mean_mse / reference)} that of {phrase}, the best of the simple ones{but}."
    ]


def _holds_zero(ends: tuple[float, float] | None) -> bool:
    return ends is not None and ends[0] <= 0 <= ends[1]
