"""The verdict of a comparison, in sentences that claim no more than was tested."""

from collections.abc import Iterator, Mapping, Sequence

from convlstm_cli.comparing.statistics.permutation import fewest_seeds
from convlstm_cli.comparing.statistics.significance import ALPHA, MOST_SEEDS
from convlstm_cli.reporting.wording import ranges
from convlstm_cli.scoring.comparison_result import Difference, LeadDifference


def verdict(
    reference: str,
    differences: Mapping[str, Difference],
    descriptions: Mapping[str, str] | None = None,
    *,
    extended: bool = False,
) -> list[str]:
    """Sentences about every arm against the reference, first a headline for each arm.

    Args:
        differences: `significance.compare_arms` of the arms, by their names.
        descriptions: arms in words, as "one peephole weight per channel"; an arm without is called by its name.
        extended: whether seeds were added after a result had been seen.
    """
    words = {name: (descriptions or {}).get(name, name) for name in (reference, *differences)}
    # Holm's method multiplies the smallest p value by the number of arms.
    level = ALPHA / max(len(differences), 1)
    headlines = [_headline(words[name], words[reference], found, level) for name, found in differences.items()]
    details = [line for name, found in differences.items() for line in _details(words[name], words[reference], found)]
    return [*headlines, *details, *_scope(list(differences.values()), extended)] if differences else []


def percent(relative: float) -> str:
    """A relative difference without its sign: "2.1 %"."""
    return f"{_number(abs(relative))} %"


def p_value(p: float) -> str:
    """ "p = 0.012"."""
    if p < 0.001:
        return "p < 0.001"
    # Three digits near 0.05, so that rounding does not hide on which side of it the value lies.
    return f"p = {p:.3g}" if 0.045 < p < 0.055 else f"p = {p:.2g}"


def _headline(arm: str, reference: str, found: Difference, level: float) -> str:
    seeds, videos = _count(found.seeds, "seed"), _count(found.videos, "video")
    if _identical(found):
        return f"{_start(arm)} and {reference} have exactly the same MSE with {seeds} and {videos}."
    if found.seeds == 1:
        return (
            f"One seed does not show whether {arm} is better than {reference} or had the luckier training: "
            f"{_amount(found)} with this seed{_brackets(_interval(found, ' over other videos'))}."
        )
    evidence = (_interval(found), p_value(found.p_holm))
    if found.outcome != "undetectable":
        return (
            f"{_start(arm)} is {found.outcome} than {reference}: {_amount(found)}{_brackets(*evidence, seeds, videos)}."
        )
    line = f"No difference between {arm} and {reference} is detectable with {seeds} and {videos}: "
    line += f"{_amount(found)}{_brackets(*evidence)}; "
    if found.seeds < fewest_seeds(found.videos, level):
        return line + "with so few none would have been, however large."
    assert found.detectable is not None
    return line + f"differences larger than about {percent(found.detectable)} would probably have shown."


def _details(arm: str, reference: str, found: Difference) -> Iterator[str]:
    between = f"between {arm} and {reference}"
    if found.outcome == "undetectable" and not _identical(found):
        if found.seeds == 1:
            yield f"Train other seeds too: one seed does not show how many would settle the difference {between}."
        elif found.seeds_needed is None:
            yield (
                f"More seeds alone would not settle a difference of this size {between}, "
                "since it varies too much from video to video: that takes more test videos."
            )
        else:
            number = f"About {found.seeds_needed}" if found.seeds_needed <= MOST_SEEDS else f"More than {MOST_SEEDS}"
            yield f"{number} seeds would be needed to settle a difference of this size {between}."
    settled = False
    for outcome in ("better", "worse"):
        leads = [lead for lead, at in enumerate(found.by_lead_time, 1) if at.outcome == outcome]
        if leads and len(found.by_lead_time) > 1:
            settled = True
            yield f"{_start(arm)} is {outcome} than {reference} at {_leads(leads)}, adjusted for all lead times."
    if found.outcome != "undetectable" and len(found.by_lead_time) > 1 and not settled:
        yield f"At no single lead time is the difference {between} settled, adjusted for all lead times."


def _scope(differences: Sequence[Difference], extended: bool) -> Iterator[str]:
    """What the claims are about, and what they assume."""
    seeds, videos = differences[0].seeds, differences[0].videos
    if seeds > 1 and videos > 1:
        yield f"This is about other seeds, and other videos like these {videos}."
    elif seeds > 1:
        yield "All test clips are of one video: this is about other seeds on that video, and not about other videos."
    elif videos > 1:
        yield f"This is about one training of each arm, and other videos like these {videos}."
    else:
        yield "This is about one training of each arm and one video."
    normal = fewest_seeds(videos=1, level=ALPHA)
    if (seeds < normal or 1 < videos < normal) and any(found.outcome != "undetectable" for found in differences):
        yield (
            f"With fewer than {normal} seeds or videos a verdict assumes that their luck is distributed roughly "
            "normally."
        )
    if len(differences) > 1 and seeds > 1:
        yield f"The p values are adjusted for {len(differences)} arms (Holm 1979), the intervals are not."
    if extended and seeds > 1:
        yield (
            "Seeds were added after a result had been seen, which makes the p values too small and the intervals too "
            "short: only a new comparison, of a number of seeds chosen beforehand, can confirm it."
        )


def _identical(found: Difference) -> bool:
    return found.relative == 0 and found.p == 1 and found.relative_interval in (None, (0.0, 0.0))


def _amount(found: LeadDifference) -> str:
    """ "2.1 % less MSE"."""
    if found.relative is None:
        return f"an MSE of {found.mean:.2g} against 0"
    return f"{percent(found.relative)} {'less' if found.relative < 0 else 'more'} MSE"


def _interval(found: LeadDifference, about: str = "") -> str:
    """ "95 % interval 0.9 to 3.3 % less", empty where there is none."""
    return f"95 % interval{about} {_range(*found.relative_interval)}" if found.relative_interval else ""


def _brackets(*parts: str) -> str:
    """ " (a, b)" of those that are not empty."""
    written = ", ".join(filter(None, parts))
    return f" ({written})" if written else ""


def _range(low: float, high: float) -> str:
    """ "0.9 to 3.3 % less", the smaller first, or "2.1 % less to 1.3 % more"."""
    if low < 0 < high:
        return f"{percent(low)} less to {percent(high)} more"
    near, far = sorted((abs(low), abs(high)))
    return f"{_number(near)} to {percent(far)} {'less' if low < 0 else 'more'}"


def _number(relative: float) -> str:
    """A share in percent, with at least two significant digits below 1 %."""
    value = 100 * relative
    if value > 10_000:
        return "more than 10000"
    return f"{value:.1f}" if value >= 1 or value == 0 else f"{value:.2g}"


def _leads(leads: list[int]) -> str:
    """ "lead times 1 to 3, 5"."""
    return f"lead time{'s' if len(leads) > 1 else ''} {ranges(leads)}"


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _start(words: str) -> str:
    """The words with a capital, as a sentence begins."""
    return words[:1].upper() + words[1:]
