"""What results are called and say in words, for the terminal and for the reports alike."""

import math
from typing import Any

METRICS = {"mse": ("MSE", 5), "psnr": ("PSNR dB", 2), "ssim": ("SSIM", 3)}
"""Heading and decimals of each metric."""
MORE_METRICS = METRICS | {
    "mse_sum": ("MSE sum", 1),
    "mae": ("MAE", 5),
    "sharpness": ("sharpness", 3),
    "csi": ("CSI", 3),
}
"""Those of an evaluation too."""

IN_WORDS = {
    "persistence": "copying the last frame",
    "linear_trend": "the linear trend",
    "optical_flow": "optical flow",
}
FEW_VIDEOS = 10
"""Below this, percentile intervals of a bootstrap are known to be too short."""


ERRORS = ("mse", "mse_sum", "mae")
MOST_DIGITS = 8
"""Decimals that fit into a column."""


def evaluation_verdict(result: dict[str, Any]) -> list[str]:
    """What the skills say, in plain words."""
    leads = len(result["model"]["by_lead_time"]["mse"])
    losses, wins, unsure = [], [], []
    for name, skill in result["skill_against"].items():
        mse, reference = result["model"]["mean"]["mse"], result[name]["mean"]["mse"]
        worse = worse_leads(result, name)
        times = f"{mse / reference:.2f} times its MSE" if reference else "it is exact here"
        if mse > reference:
            where = "at every lead time" if len(worse) == leads else f"at lead times {ranges(worse)} of {leads}"
            losses.append(f"The forecast is WORSE than {IN_WORDS[name]}: {times}, {where}.")
        elif mse == reference:
            wins.append(f"The forecast is as good as {IN_WORDS[name]}, no better.")
        else:
            but = f", but worse at lead times {ranges(worse)} of {leads}" if worse else ", at every lead time"
            wins.append(f"The forecast is better than {IN_WORDS[name]}: {times}{but}.")
        ends = skill["interval"]
        if ends is not None and (ends[0] is None or ends[0] <= 0) and ends[1] is not None and ends[1] >= 0:
            unsure.append(IN_WORDS[name])
    lines = losses + wins
    videos = len(result["videos"])
    if unsure:
        lines.append(
            f"The interval holds 0 against {' and '.join(unsure)}: {videos} videos do not settle which of the two is "
            "better."
        )
    if (reason := result["interval"]["missing"]) is not None:
        lines.append(f"There is no interval: {reason}.")
    elif videos < FEW_VIDEOS:
        lines.append(f"From {videos} videos an interval is a rough guess, and rather too short.")
    for which in ("worst", "best"):
        clip = result[which][0]
        lines.append(f"Against copying, the {which} clip is that of {clip['video']} from frame {clip['first_frame']}.")
    return lines


def worse_leads(result: dict[str, Any], name: str) -> list[int]:
    """The lead times, from 1, at which the forecast has a higher MSE than a baseline."""
    pairs = zip(result["model"]["by_lead_time"]["mse"], result[name]["by_lead_time"]["mse"], strict=True)
    return [lead for lead, (mse, reference) in enumerate(pairs, start=1) if mse > reference]


def ranges(numbers: list[int]) -> str:
    """Rising numbers in short: 1 to 3, 7."""
    found: list[list[int]] = []
    for number in numbers:
        if found and number == found[-1][-1] + 1:
            found[-1] = [found[-1][0], number]
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first} to {last}" for first, last in found)


def decimals(metric: str, columns: dict[str, dict[str, Any]]) -> int:
    """Decimals of a metric; of errors, where hardly anything moves, as many as show two digits of the least mean."""
    digits = MORE_METRICS[metric][1]
    means = [scores["mean"][metric] for scores in columns.values()]
    if metric not in ERRORS or not any(means):
        return digits
    return min(MOST_DIGITS, max(digits, 1 - math.floor(math.log10(min(mean for mean in means if mean)))))


def size(value: float | None) -> str:
    """A number of bytes."""
    if value is None:
        return "-"
    return f"{value / 1e9:.1f} GB" if value >= 1e9 else f"{value / 1e6:.1f} MB"
