from dataclasses import replace

import pytest

from convlstm_cli.comparing.statistics.significance import MOST_SEEDS
from convlstm_cli.comparing.verdict import p_value, percent, verdict
from convlstm_cli.scoring.comparison_result import Difference, LeadDifference

BETTER = Difference(
    mean=-0.0002,
    relative=-0.021,
    interval=(-0.00033, -0.00009),
    relative_interval=(-0.033, -0.009),
    p=0.002,
    p_holm=0.004,
    outcome="better",
    effect_size=-1.2,
    seeds_better=8,
    seeds=9,
    videos=12,
    seeds_needed=5,
    detectable=0.015,
    by_lead_time=[],
)
UNDETECTABLE = replace(
    BETTER,
    relative=-0.004,
    relative_interval=(-0.021, 0.013),
    p_holm=0.41,
    outcome="undetectable",
    seeds=3,
    videos=9,
    seeds_needed=14,
    detectable=0.02,
)


def lead(outcome: str) -> LeadDifference:
    kept = {name: getattr(BETTER, name) for name in LeadDifference.__dataclass_fields__}
    return LeadDifference(**(kept | {"outcome": outcome}))


def of(found: Difference, *, extended: bool = False) -> list[str]:
    return verdict("none", {"channel": found}, extended=extended)


def test_better() -> None:
    assert of(BETTER) == [
        "Channel is better than none: 2.1 % less MSE (95 % interval 0.9 to 3.3 % less, p = 0.004, 9 seeds, 12 videos).",
        "This is about other seeds, and other videos like these 12.",
    ]


def test_worse() -> None:
    worse = replace(BETTER, relative=0.021, relative_interval=(0.009, 0.033), outcome="worse")
    assert of(worse)[0] == (
        "Channel is worse than none: 2.1 % more MSE (95 % interval 0.9 to 3.3 % more, p = 0.004, 9 seeds, 12 videos)."
    )


@pytest.mark.parametrize(("seeds", "videos", "assumes"), [(3, 9, True), (9, 3, True), (6, 6, False), (6, 1, False)])
def test_few_seeds_or_videos_assume_a_normal_distribution(seeds: int, videos: int, assumes: bool) -> None:
    lines, silent = (of(replace(found, seeds=seeds, videos=videos)) for found in (BETTER, UNDETECTABLE))
    assert lines[-1].startswith("With fewer than 6 seeds or videos a verdict assumes that their luck is") == assumes
    assert not any("a verdict assumes" in line for line in silent)


def test_undetectable_says_what_would_have_shown_and_what_it_takes() -> None:
    assert of(UNDETECTABLE) == [
        "No difference between channel and none is detectable with 3 seeds and 9 videos: 0.4 % less MSE (95 % interval "
        "2.1 % less to 1.3 % more, p = 0.41); differences larger than about 2.0 % would probably have shown.",
        "About 14 seeds would be needed to settle a difference of this size between channel and none.",
        "This is about other seeds, and other videos like these 9.",
    ]


@pytest.mark.parametrize(
    ("needed", "sentence"),
    [
        (MOST_SEEDS + 1, "More than 1000 seeds would be needed to settle a difference of this size"),
        (None, "More seeds alone would not settle a difference of this size"),
    ],
)
def test_seeds_that_nobody_has(needed: int | None, sentence: str) -> None:
    assert of(replace(UNDETECTABLE, seeds_needed=needed))[1].startswith(sentence)


def test_too_few_seeds_for_any_difference() -> None:
    lines = of(replace(UNDETECTABLE, seeds=3, videos=1, relative_interval=(-0.55, -0.45), relative=-0.5))
    assert lines[0].endswith(
        "(95 % interval 45.0 to 55.0 % less, p = 0.41); with so few none would have been, however large."
    )
    assert "of one video" in lines[2]
    assert "1 video: " in lines[0]
    # 6 seeds of one video are enough for one arm, and not for two.
    six = replace(UNDETECTABLE, seeds=6, videos=1)
    assert "none would have been" not in of(six)[0]
    assert "none would have been" in verdict("none", {"channel": six, "full": six})[0]


def test_equal_arms_are_called_equal() -> None:
    same = replace(
        UNDETECTABLE, mean=0.0, relative=0.0, relative_interval=(0.0, 0.0), p=1.0, p_holm=1.0, seeds_needed=None
    )
    assert of(same)[0] == "Channel and none have exactly the same MSE with 3 seeds and 9 videos."
    assert len(of(same)) == 2


@pytest.mark.parametrize("relative", [-0.9, 0.9])
@pytest.mark.parametrize("videos", [1, 9])
def test_one_seed_is_never_a_verdict(relative: float, videos: int) -> None:
    interval = (relative - 0.01, relative + 0.01) if videos > 1 else None
    found = replace(
        UNDETECTABLE, relative=relative, relative_interval=interval, p=1e-9, seeds=1, videos=videos, seeds_needed=None
    )
    lines = of(found, extended=True)
    assert lines[0].startswith(
        "One seed does not show whether channel is better than none or had the luckier training: 90.0 %"
    )
    assert ("(95 % interval over other videos 89.0 to 91.0 %" in lines[0]) == (videos > 1)
    assert lines[1].startswith("Train other seeds too")
    assert lines[2].startswith("This is about one training of each arm")
    assert len(lines) == 3


def test_one_video_limits_the_claim() -> None:
    assert of(replace(BETTER, videos=1))[-1] == (
        "All test clips are of one video: this is about other seeds on that video, and not about other videos."
    )


def test_lead_times_are_listed_as_ranges() -> None:
    outcomes = ["better", "better", "better", "undetectable", "better", "worse"]
    lines = of(replace(BETTER, by_lead_time=[lead(outcome) for outcome in outcomes]))
    assert lines[1] == "Channel is better than none at lead times 1 to 3, 5, adjusted for all lead times."
    assert lines[2] == "Channel is worse than none at lead time 6, adjusted for all lead times."
    none = of(replace(BETTER, by_lead_time=[lead("undetectable"), lead("undetectable")]))
    assert none[1] == (
        "At no single lead time is the difference between channel and none settled, adjusted for all lead times."
    )
    assert of(replace(BETTER, by_lead_time=[lead("better")])) == of(BETTER)
    # Nothing is to be said about single lead times where there is nothing overall and at none of them.
    assert of(replace(UNDETECTABLE, by_lead_time=[lead("undetectable")] * 2)) == of(UNDETECTABLE)


def test_several_arms_have_their_headlines_first_and_descriptions_for_names() -> None:
    lines = verdict(
        "none",
        {"channel": BETTER, "full": replace(UNDETECTABLE, seeds=9, videos=12)},
        {"none": "no peepholes", "channel": "one peephole weight per channel"},
    )
    assert lines[0].startswith("One peephole weight per channel is better than no peepholes: ")
    assert lines[1].startswith("No difference between full and no peepholes is detectable")
    assert lines[-1] == "The p values are adjusted for 2 arms (Holm 1979), the intervals are not."
    assert len(lines) == 5


def test_seeds_added_after_a_look_are_no_confirmation() -> None:
    lines = of(BETTER, extended=True)
    assert lines[:-1] == of(BETTER)
    assert lines[-1].startswith("Seeds were added after a result had been seen, which makes the p values too small")


def test_an_exact_reference() -> None:
    found = replace(BETTER, mean=0.01, relative=None, interval=None, relative_interval=None, outcome="worse")
    assert of(found)[0] == "Channel is worse than none: an MSE of 0.01 against 0 (p = 0.004, 9 seeds, 12 videos)."


def test_no_arms_no_words() -> None:
    assert verdict("none", {}) == []


def test_numbers_are_rounded_to_what_they_say() -> None:
    assert [percent(value) for value in (0.0, -0.021, 0.0043, 0.00001234, 1.5, 1e20)] == [
        "0.0 %",
        "2.1 %",
        "0.43 %",
        "0.0012 %",
        "150.0 %",
        "more than 10000 %",
    ]
    assert [p_value(p) for p in (1e-9, 0.0042, 0.0496, 0.0504, 0.41)] == [
        "p < 0.001",
        "p = 0.0042",
        "p = 0.0496",
        "p = 0.0504",
        "p = 0.41",
    ]
