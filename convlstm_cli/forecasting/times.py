"""When the frames of a forecast are valid, and the rate at which they play."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.clip import InputClip
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.video.timeline import same_rate

DEFAULT_FPS = 10.0
"""Frames per second of videos made from sources that have no rate, such as folders of images."""
FAR_APART = 1.0
"""Seconds between the frames of a source that is no film above which its forecast plays at `DEFAULT_FPS`: a video of
one frame in 10 minutes shows nothing."""
FORMS = ("%Y%m%dT%H%M", "%Y%m%dT%H%M%S", "%Y%m%dT%H%M%S_%f")
"""Names of frames by their time, from the shortest."""

ValidTimes = tuple[str | float, ...]


@dataclass(frozen=True)
class Schedule:
    """When the frames of a forecast are valid, and how that shows in what is written."""

    fps: float
    """Frames per second of videos."""
    step: float | None
    """Seconds from one frame to the next; None where they are unknown."""
    start: str | None
    """Date and time of the source's first frame in ISO 8601; None where it has none."""
    valid_times: ValidTimes | None
    """The time of each frame: ISO 8601 where the source has dates, else seconds from its first frame; None where it
    has no times."""
    seconds: tuple[float, ...] | None
    """From the source's first frame to each frame; None where it has no times."""
    names: tuple[str, ...] | None
    """Names of the images without a suffix; None numbers them."""

    @classmethod
    def of(cls, clip: InputClip, frames: int, config: PredictConfig, path: Path, *, film: bool) -> "Schedule":
        """The schedule of a forecast of `frames` frames after a clip of the source at `path`.

        `film`: whether the source plays at the rate of its times. Raises InputError where frames are to be named by
        their dates and the source has none.
        """
        seconds = _seconds(clip, frames)
        rounded = None if seconds is None else tuple(round(each, 3) for each in seconds)
        dates = None if clip.start is None or rounded is None else _dates(clip.start, rounded)
        names = None
        if config.names == "time":
            if dates is None:
                raise InputError(
                    f"{path}: has no dates, so --names time cannot name the frames; leave it out, or give images whose "
                    "names hold date and time."
                )
            names = _names(dates)
        return cls(
            fps=config.fps or _rate(clip, film=film),
            step=clip.step,
            start=None if clip.start is None else clip.start.isoformat(),
            valid_times=rounded if dates is None else tuple(date.isoformat() for date in dates),
            seconds=seconds,
            names=names,
        )


def _rate(clip: InputClip, *, film: bool) -> float:
    """Frames per second at which the forecast of a clip is written: those of its source where they are known."""
    if clip.step is None:
        return clip.fps or DEFAULT_FPS
    if clip.fps is not None and same_rate(1 / clip.fps, clip.step):
        return clip.fps
    return 1 / clip.step if film or clip.step <= FAR_APART else DEFAULT_FPS


def _names(dates: Sequence[datetime]) -> tuple[str, ...]:
    """Dates as names of files, in the shortest form that holds all of them whole."""
    form = next((form for form in FORMS if _exact(form, dates)), FORMS[-1])
    return tuple(date.strftime(form) for date in dates)


def _exact(form: str, dates: Sequence[datetime]) -> bool:
    """Whether names of this form hold the dates whole."""
    wholes = (date.replace(tzinfo=None) for date in dates)
    return all(datetime.strptime(date.strftime(form), form) == date for date in wholes)


def _dates(start: datetime, seconds: Sequence[float]) -> list[datetime]:
    return [start + timedelta(seconds=each) for each in seconds]


def _seconds(clip: InputClip, frames: int) -> tuple[float, ...] | None:
    """Seconds from the source's first frame to each frame of a forecast."""
    if clip.time is None or clip.step is None:
        return None
    return tuple(clip.time + lead * clip.step for lead in range(1, frames + 1))
