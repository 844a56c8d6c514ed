"""JSON that is read back, held to what this tool writes: anybody may have changed it since.

Imports no torch and no OpenCV.
"""

import contextlib
import json
import math
import stat
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints

from convlstm_cli.errors import ConvLSTMError, RunError, first_line
from convlstm_cli.video.config import DataConfig

Record = TypeVar("Record")

MAX_BYTES = 2**28
"""Largest JSON file that is read; the splits of 100,000 videos take a tenth of it."""
MAX_NUMBER = 2**63
"""Numbers from here on, which this tool does not write, would not fit where they are used."""


@dataclass(frozen=True)
class PartRecord:
    """A part of a video in a split."""

    video: str
    start: int
    """Position of its first frame, from 0."""
    stop: int
    """Position after its last."""
    path: str
    frames: int
    """Of the whole video."""
    digest: str

    def __post_init__(self) -> None:
        if not 0 <= self.start < self.stop <= self.frames:
            raise ValueError(f"frames {self.start} to {self.stop} of {self.frames} are no part of {self.video!r}")


@dataclass(frozen=True)
class SplitRecord:
    """Which frames are for what."""

    how: str
    train: tuple[PartRecord, ...]
    validation: tuple[PartRecord, ...]
    test: tuple[PartRecord, ...]


@dataclass(frozen=True)
class ProblemRecord:
    """A video that could not be used."""

    path: str
    reason: str


@dataclass(frozen=True)
class DataRecord:
    """What config.json and comparison.json say of the videos: `VideoData.to_dict`."""

    settings: DataConfig
    channels: int
    split: SplitRecord
    problems: tuple[ProblemRecord, ...]

    def __post_init__(self) -> None:
        if self.channels not in (1, 3):
            raise ValueError(f"channels is {self.channels}")

    def check_clips(self, clip_frames: int) -> None:
        """Raises ValueError where a part is too short for a clip, or there is none."""
        for parts in (self.split.train, self.split.validation, self.split.test):
            if not parts:
                raise ValueError("a part of the split is empty")
            for part in parts:
                if part.stop - part.start < clip_frames:
                    raise ValueError(f"the part of {part.video!r} is shorter than the {clip_frames} frames of a clip")


def read_text(path: Path) -> str:
    """A UTF-8 file. Raises OSError, and ValueError where it is no file or a huge one."""
    status = path.stat()
    if not stat.S_ISREG(status.st_mode):  # to read a FIFO would wait for ever
        raise ValueError("it is no file")
    if status.st_size > MAX_BYTES:
        raise ValueError(f"it has {status.st_size} bytes, more than any that this tool writes")
    return path.read_text(encoding="utf-8")


def parse(text: str) -> Any:
    """JSON as values. Raises ValueError; also for NaN, infinity and huge numbers, which this tool does not write."""
    try:
        return json.loads(text, parse_constant=_refuse, parse_int=_whole, parse_float=_real)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def build(record: type[Record], content: Any) -> Record:
    """A dataclass of what JSON holds, every value of the type that its field has.

    Lists become tuples where the field is one; fields with a default may be missing. Raises ValueError that says what
    is wrong, and what the dataclass itself raises.
    """
    if not isinstance(content, Mapping):
        raise ValueError(f"{record.__name__} is {_short(content)} and no object")
    hints = get_type_hints(record)
    known = {field.name for field in fields(record)}  # type: ignore[arg-type]
    if unknown := sorted(content.keys() - known):
        raise ValueError(f"{_short(unknown[0])} is not known")
    try:
        return record(**{name: check(value, hints[name], name) for name, value in content.items()})
    except TypeError as error:  # a field is missing
        raise ValueError(str(error).partition("() ")[2] or str(error)) from error


def check(value: Any, hint: Any, name: str) -> Any:
    """The value, if it is of a type as annotations name it; a list as a tuple, and a number as a float, where those are
    meant. Raises ValueError that says `name`.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if hint is Any:
        return value
    if origin in (Union, types.UnionType):
        for choice in arguments:
            with contextlib.suppress(ValueError):
                return check(value, choice, name)
    elif origin is Literal:
        if isinstance(value, str) and value in arguments:
            return value
    elif origin is tuple and isinstance(value, list | tuple):
        return tuple(check(each, arguments[0], name) for each in value)
    elif origin is list and isinstance(value, list):
        return [check(each, arguments[0], name) for each in value]
    elif origin is dict and isinstance(value, dict):
        return {check(key, arguments[0], name): check(each, arguments[1], name) for key, each in value.items()}
    elif hasattr(hint, "__dataclass_fields__"):
        return build(hint, value)
    elif hint is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    elif isinstance(hint, type) and isinstance(value, hint) and isinstance(value, bool) == (hint is bool):
        return value
    raise ValueError(f"{name} is {_short(value)}")


def check_fields(content: Any, hints: Mapping[str, Any]) -> None:
    """Raises ValueError unless this is a mapping that has these entries, of these types; it may have others."""
    if not isinstance(content, Mapping):
        raise ValueError(f"{_short(content)} is no object")
    for name, hint in hints.items():
        if name not in content:
            raise ValueError(f"there is no {name}")
        check(content[name], hint, name)


def check_epoch(row: Any) -> None:
    """Raises ValueError unless this is a line of metrics.jsonl."""
    numbers: dict[str, Any] = dict.fromkeys(("seconds", "learning_rate"), float)
    whole = dict.fromkeys(("epoch", "steps"), int)
    check_fields(row, {**whole, **numbers, "train_loss": float | None, "validation": dict[str, Any]})
    check_evaluation(row["validation"])


def check_test(content: Any) -> None:
    """Raises ValueError unless this is what test.json holds."""
    check_fields(content, {"best_epoch": int, "stopped": str, "seconds": float})
    check_evaluation(content)


def check_evaluation(content: Mapping[str, Any]) -> None:
    """Raises ValueError unless this is what `Evaluation.to_dict` gives."""
    check_fields(content, {"skill": float | None, "model": dict[str, Any], "persistence": dict[str, Any]})
    lead_times = None
    for name in (name for name, value in content.items() if isinstance(value, Mapping)):
        values = dict[str, float | None]
        check_fields(content[name], {"clips": int, "by_lead_time": dict[str, list[float | None]], "mean": values})
        by_lead, means = content[name]["by_lead_time"], content[name]["mean"]
        for metric in ("mse", "psnr", "ssim"):
            check_fields(by_lead, {metric: list[float | None]})
            lead_times = lead_times or len(by_lead[metric])
            if not lead_times or len(by_lead[metric]) != lead_times:
                raise ValueError(f"the {metric} of {name} has {len(by_lead[metric])} lead times")
            check_fields(means, {metric: float | None})
            if metric != "psnr" and None in (*by_lead[metric], means[metric]):
                raise ValueError(f"the {metric} of {name} is missing")
        if min(*by_lead["mse"], means["mse"]) < 0:
            raise ValueError(f"the mse of {name} is negative")


@contextlib.contextmanager
def damaged(path: Path, remedy: str) -> Iterator[None]:
    """Turns whatever the use of a file's content raises into a RunError: the file is not what this tool wrote.

    The block must do nothing but use the content.
    """
    try:
        yield
    except ConvLSTMError as error:
        raise RunError(f"{path}: is damaged ({error}); {remedy}.") from error
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        what = f"no {error}" if isinstance(error, KeyError) else first_line(error)
        raise RunError(f"{path}: is damaged ({what}); {remedy}.") from error


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"it holds {constant}")


def _whole(text: str) -> int:
    number = int(text)
    return number if abs(number) < MAX_NUMBER else _refuse(_short(text))


def _real(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _refuse(_short(text))


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
