"""Frame rates of several videos: which differ, and what to do about it."""

from collections.abc import Iterable
from typing import Protocol

from convlstm_cli.errors import InputError
from convlstm_cli.settings import write_duration
from convlstm_cli.video.config import Pace
from convlstm_cli.video.natural import first_few
from convlstm_cli.video.timeline import in_words, same_rate


class HasStep(Protocol):
    """What is to be known of a video."""

    @property
    def name(self) -> str: ...
    @property
    def step(self) -> float | None:
        """Seconds from one frame to the next; None where the video has no times."""
        ...


def differing_rates(videos: Iterable[HasStep], pace: Pace) -> str | None:
    """Says which videos have which rate, and the remedy; None where one rate suffices.

    Videos without times go with any rate, and so do all where `--every frame` takes frames for steps.
    """
    if pace.every == "frame":
        return None
    groups: list[list[tuple[float, str]]] = []
    for step, name in sorted((video.step, video.name) for video in videos if video.step is not None):
        if groups and same_rate(groups[-1][0][0], step):
            groups[-1].append((step, name))
        else:
            groups.append([(step, name)])
    if len(groups) < 2:
        return None
    slowest = write_duration(groups[-1][-1][0])
    return (
        f"frame rates differ: {'; '.join(map(_group, groups))}. --every {slowest} brings all to the slowest, "
        "--every frame takes every frame as one step whatever its time"
    )


def check_one_rate(videos: Iterable[HasStep], pace: Pace) -> None:
    """Raises InputError for videos whose rates differ."""
    found = differing_rates(videos, pace)
    if found is not None:
        raise InputError(f"{found}.")


def common_step(videos: Iterable[HasStep], pace: Pace) -> float | None:
    """The seconds between frames of videos of one rate; None where they are unknown or do not count."""
    steps = sorted(video.step for video in videos if video.step is not None)
    return steps[len(steps) // 2] if steps and pace.every != "frame" else None


def rate_in_words(step: float) -> str:
    """A step as a frame rate for people, such as 30 frames a second, or a frame every 10 min where that is slow."""
    return f"{1 / step:.4g} frames a second" if step <= 1 else f"a frame every {in_words(step)}"


def _group(members: list[tuple[float, str]]) -> str:
    names = first_few(name for _, name in members)
    rate = rate_in_words(members[len(members) // 2][0])
    return f"{len(members)} video{'s' * (len(members) > 1)} at {rate} ({names})"
