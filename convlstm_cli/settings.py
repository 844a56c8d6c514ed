"""How settings are declared: frozen dataclasses whose fields are command-line options, and the checks they share.

Each folder declares its own in its config.py (`TrainConfig` in training/, `DataConfig` in video/, and so on), so that
the choices of an option come from the registry beside it. Imports no torch and no OpenCV.
"""

import contextlib
import numbers
import operator
import os
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import field, fields
from types import UnionType
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from convlstm_cli.errors import UsageError

T = TypeVar("T")

Precision = Literal["auto", "fp32", "bf16", "fp16"]

MIN_SIDE, MAX_SIDE = 16, 4096
"""Least side in pixels that videos are brought to, and the largest side of frames that a network works at."""
DEVICE_HELP = "auto (CUDA, MPS or XPU if there is one, else the CPU), or a torch device such as cuda:1."
PRECISION_HELP = "Number format of convolutions, gates and h; the cell state stays fp32. auto is fp32."

MAX_COUNT = 2**31 - 1
"""Largest seed, number of steps and number of epochs: seeds are multiplied when they are used."""


def option(
    default: T,
    text: str,
    *,
    flag: str | None = None,
    alias: str | None = None,
    parse: Callable[[str, str], T] | None = None,
    choices: Collection[str] | None = None,
    metavar: str | None = None,
) -> T:
    """A field that is also an option of the command line, with its one line of doc.

    `flag` is needed where it is not the field's name, `parse` (of flag and text) where typer has no such type. `alias`
    is another spelling. `choices` are the names that the option takes, such as a registry's; `metavar` stands for its
    value in --help.
    """
    metadata = {"help": text, "flag": flag, "alias": alias, "parse": parse, "choices": choices, "metavar": metavar}
    return field(default=default, metadata=metadata)


def flag_of(config: type, name: str) -> str:
    """The command-line option that sets a field of a config dataclass, such as `--frames` for `horizon`."""
    [metadata] = [field.metadata for field in fields(config) if field.name == name]
    return metadata.get("flag") or f"--{name.replace('_', '-')}"


def parse_field(config: type, name: str, text: str) -> Any:
    """The value of a config dataclass's field that its option's text stands for.

    A switch is on or off, and `none` is the default where that is nothing. Raises UsageError, which names the option,
    for a text that is no such value; what the dataclass refuses is for it to say.
    """
    [declared] = [field for field in fields(config) if field.name == name]
    flag, hint, parse = flag_of(config, name), get_type_hints(config)[name], declared.metadata["parse"]
    if text == "none" and declared.default in (None, ()):
        return declared.default
    if parse is not None:
        return parse(flag, text)
    kind = next((each for each in get_args(hint) if each in (int, float, str)), hint)  # of `int | None`
    if kind is bool:
        check_choice(flag, text, ("on", "off"))
        return text == "on"
    try:
        return kind(text) if kind in (int, float) else text
    except ValueError:
        raise UsageError(f"{flag} is {text!r}; give a {'whole ' if kind is int else ''}number.") from None


def check_types(config: Any) -> None:
    """Gives the fields of a config dataclass the types that they declare: tuples for lists, int for numpy's integers.

    To be called first in `__post_init__`: Python, unlike the command line, can give anything. Raises UsageError, which
    names the field, for a value that is of no such type.
    """
    hints = get_type_hints(type(config))
    for each in fields(config):
        object.__setattr__(config, each.name, typed(each.name, getattr(config, each.name), hints[each.name]))


def typed(name: str, value: Any, hint: Any) -> Any:
    """A value as the type that an annotation names. Raises UsageError, which calls it `name`, where it is none.

    Which text one of several choices has to be is left to `check_choice`.
    """
    try:
        return _as_type(value, hint)
    except (TypeError, ValueError):
        raise UsageError(f"{name} is {value!r}; give {_words_of(hint)}.") from None


def _as_type(value: Any, hint: Any) -> Any:
    """A value as a type. Raises TypeError or ValueError where it is none."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        for each in arguments:
            with contextlib.suppress(TypeError, ValueError):
                if get_origin(each) is not Literal or value in get_args(each):
                    return _as_type(value, each)
        raise TypeError
    if origin is tuple and not isinstance(value, str | bytes | Mapping):
        return tuple(_as_type(each, arguments[0]) for each in value)
    if hint is int:
        return operator.index(value)
    if hint is bool and value in (True, False):
        return bool(value)
    fitting: dict[Any, Any] = {float: numbers.Real, str: str | os.PathLike, Literal: str, type(None): type(None)}
    if not isinstance(value, fitting.get(origin or hint, ())):
        raise TypeError
    return value


def _words_of(hint: Any, *, several: bool = False) -> str:
    """What a type is called in messages."""
    arguments = get_args(hint)
    if get_origin(hint) in (Union, UnionType):
        return " or ".join(_words_of(each, several=several) for each in arguments)
    if get_origin(hint) is tuple:
        return f"a tuple of {_words_of(arguments[0], several=True)}"
    if get_origin(hint) is Literal:
        return " or ".join(map(repr, arguments))
    words = {int: ("a whole number", "whole numbers"), float: ("a number", "numbers"), str: ("a text", "texts")}
    return words[hint][several] if hint in words else "True or False" if hint is bool else "None"


def check_unchanged(
    config: type, given: Mapping[str, Any], recorded: Mapping[str, Any], *, free: Collection[str] = ()
) -> None:
    """Raises UsageError, which names the option, where a value that was given differs from the one on record.

    Args:
        config: the dataclass whose fields these are.
        given: values that were given explicitly, by the names of the fields.
        recorded: all values, as JSON holds them.
        free: names of the fields that may differ.
    """
    for name, value in given.items():
        if name not in free and _plain(value) != _plain(recorded.get(name)):
            raise UsageError(
                f"{flag_of(config, name)} is {value} and this run was begun with {recorded.get(name)}; leave it out to "
                "go on, or start a new run with another -o."
            )


def _plain(value: object) -> object:
    """A setting as JSON holds it."""
    return list(value) if isinstance(value, tuple) else value


def check_choice(option: str, value: object, choices: Any) -> None:
    """Raises UsageError that names `option` unless `value` is one of `choices`, a registry or a Literal type."""
    allowed = get_args(choices) or tuple(choices)
    if value not in allowed:
        raise UsageError(f"{option} is {value!r}; choose one of {', '.join(map(str, allowed))}.")


def check_most(option: str, value: int, most: int) -> None:
    """Raises UsageError that names `option` for a value above any use, which would take more memory than there is."""
    if value > most:
        raise UsageError(f"{option} is {value}; it can be at most {most}.")


def check_seed(seed: int) -> None:
    """Raises UsageError for a --seed that cannot be."""
    if seed < 0:
        raise UsageError(f"--seed is {seed}; it must be at least 0.")
    check_most("--seed", seed, MAX_COUNT)


def parse_size(text: str) -> tuple[int, int]:
    """`64` as (64, 64) and `48x64`, HEIGHTxWIDTH, as (48, 64). Raises UsageError that names --size."""
    match = re.fullmatch(r"(\d+)(?:[x×](\d+))?", text.strip().lower())
    if match is None:
        raise UsageError(f"--size is {text!r}; give one number such as 64, or HEIGHTxWIDTH such as 48x64.")
    height, width = int(match[1]), int(match[2] or match[1])
    check_sides(height, width)
    return height, width


def check_sides(height: int, width: int) -> None:
    """Raises UsageError that names --size for a side outside `MIN_SIDE`...`MAX_SIDE` pixels."""
    for side in (height, width):
        if not MIN_SIDE <= side <= MAX_SIDE:
            raise UsageError(f"--size has a side of {side} pixels; give {MIN_SIDE} to {MAX_SIDE}.")


def parse_duration(flag: str, text: str) -> float:
    """Seconds of a duration such as 90s, 10m, 1.5h, 1h30m or 40ms; a bare number is seconds.

    Raises UsageError that names `flag`.
    """
    units = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}
    compact = text.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", compact):
        compact += "s"
    if not re.fullmatch(r"(\d+(\.\d+)?(ms|[dhms]))+", compact):
        raise UsageError(f"{flag} is {text!r}; give a duration such as 90s, 10m or 1h30m.")
    seconds = sum(float(number) * units[unit] for number, unit in re.findall(r"([\d.]+)(ms|[dhms])", compact))
    if seconds <= 0:
        raise UsageError(f"{flag} is {text!r}; it must be longer than nothing.")
    return seconds


def write_duration(seconds: float) -> str:
    """A duration as `parse_duration` reads it, to four digits: 10m, 0.1s, 0.03333s."""
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= length and seconds % length == 0:
            return f"{seconds / length:.0f}{unit}"
    rounded = float(f"{seconds:.4g}")
    return f"{rounded:.9f}".rstrip("0").rstrip(".") + "s" if rounded == seconds else write_duration(rounded)


def parse_names(_flag: str, text: str) -> tuple[str, ...]:
    """`png,webm` as ("png", "webm")."""
    return tuple(part.strip() for part in text.split(",") if part.strip())


def parse_numbers(flag: str, text: str) -> tuple[float, ...]:
    """`0.1,0.5` as (0.1, 0.5). Raises UsageError that names `flag`."""
    try:
        return tuple(float(each) for each in parse_names(flag, text))
    except ValueError:
        raise UsageError(f"{flag} is {text!r}; give numbers with commas between them, such as 0.1,0.5.") from None
