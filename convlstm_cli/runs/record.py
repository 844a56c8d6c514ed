"""Validates saved JSON before use: anybody may have changed it since it was written.

JSON is parsed by Python, whose strings may hold file names that are no UTF-8, and given its types by msgspec.
Imports no torch and no OpenCV.
"""

import contextlib
import json
import math
import stat
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, NoReturn, TypeVar, overload

import msgspec

from convlstm_cli.errors import ConvLSTMError, RunError, first_line

Record = TypeVar("Record")

MAX_BYTES = 2**28
"""Largest JSON file that is read; the splits of 100,000 videos take a tenth of it."""
MAX_NUMBER = 2**63
"""Numbers from here on, which this tool does not write, would not fit where they are used."""
LONGEST_VALUE = 60
"""Characters of a value that a message shows."""


def read(path: Path, make: Callable[[Any], Record], remedy: str = "restore it from a copy") -> Record:
    """What `make` makes of the content of a JSON file; it raises ValueError for content that it has no use for.

    Raises FileNotFoundError where there is no file, and RunError, which names the file, the field and the remedy, where
    it cannot be read or used.
    """
    with _readable(path, remedy):
        return make(parse(read_text(path)))


def read_lines(path: Path, make: Callable[[Any], Record], remedy: str = "restore it from a copy") -> list[Record]:
    """As `read`, for each line of a JSON Lines file."""
    with _readable(path, remedy):
        return [make(parse(line)) for line in read_text(path).splitlines()]


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


@overload
def build(kind: type[Record], content: Any) -> Record: ...
@overload
def build(kind: Any, content: Any) -> Any: ...
def build(kind: Any, content: Any) -> Any:
    """What JSON holds as a type that annotations name, such as a dataclass; each value has to be of its field's type.

    Lists become tuples, and whole numbers floats, where the type says so; fields with a default may be missing. Raises
    ValueError that names the field and says what is wrong: an entry that a dataclass has no field for, a missing one, a
    value of another type, or what the dataclass itself refuses.
    """
    try:
        built = msgspec.convert(content, kind)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from error
    _check_known(content, built, "$")
    return built


def as_object(content: Any) -> dict[str, Any]:
    """A JSON object as it is. Raises ValueError for anything else."""
    return build(dict[str, Any], content)


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


@contextlib.contextmanager
def _readable(path: Path, remedy: str) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({first_line(error)}); {remedy}.") from error


def _check_known(content: Any, built: Any, place: str) -> None:
    """Raises ValueError where the content has an entry that the dataclass made of it has no field for."""
    if content is built:
        return
    if is_dataclass(built):
        known = {field.name for field in fields(built)}
        for name, value in content.items():
            if name not in known:
                raise ValueError(f"{_short(name)} is not known - at `{place}`")
            _check_known(value, getattr(built, name), f"{place}.{name}")
    elif isinstance(built, Mapping):
        for name, value in content.items():
            _check_known(value, built[name], f"{place}[...]")
    elif isinstance(built, list | tuple):
        for value, each in zip(content, built, strict=True):
            _check_known(value, each, f"{place}[...]")


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
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 3]}..."
