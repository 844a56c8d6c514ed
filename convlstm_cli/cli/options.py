"""Dataclass fields as options of the command line, so that each is described and defaulted in one place."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import typer

from convlstm_cli.errors import UsageError

Config = TypeVar("Config")


def with_options(
    *panels: tuple[type, str], without: Collection[str] = ()
) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command that takes **options one option for each `option` field of the dataclasses.

    Each dataclass comes with the title of its panel in `--help`. `without` names options to leave out.
    """

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        own = inspect.signature(command, eval_str=True)
        parameters = {p.name: p for p in own.parameters.values() if p.kind is not inspect.Parameter.VAR_KEYWORD}
        for config, panel in panels:
            hints = get_type_hints(config)
            for field in _option_fields(config):
                if _name(field) not in without:
                    parameters[_name(field)] = _parameter(field, hints[field.name], panel)
        command.__signature__ = own.replace(parameters=list(parameters.values()))  # type: ignore[attr-defined]
        command.__annotations__ = {name: parameter.annotation for name, parameter in parameters.items()}
        return command

    return decorate


def build(config: type[Config], options: Mapping[str, Any], **others: Any) -> Config:
    """Makes a dataclass of the values that `with_options` collected, and of `others`; defaults for the rest.

    Raises UsageError, naming the option, for a value that the dataclass refuses.
    """
    values = {}
    for field in _option_fields(config):
        if _name(field) not in options:
            continue
        value = options[_name(field)]
        parse = field.metadata["parse"]
        values[field.name] = parse(_flag(field), value) if parse is not None and value is not None else value
    return config(**values, **others)


def option_names(*configs: type) -> set[str]:
    """Names of the options that `with_options` makes of dataclasses."""
    return {_name(field) for config in configs for field in _option_fields(config)}


def check_unchanged(given: Any, recorded: Mapping[str, Any], explicit: set[str]) -> None:
    """Raises UsageError if an option that was given on the command line differs from a run's record.

    `explicit` has the names of the options that were given.
    """
    for field in _option_fields(type(given)):
        name = _name(field)
        if name in explicit and not _same(getattr(given, field.name), recorded.get(field.name)):
            raise UsageError(
                f"{_flag(field)} is {getattr(given, field.name)} and this run was begun with "
                f"{recorded.get(field.name)}; leave it out to go on, or start a new run with another -o."
            )


def _parameter(field: "dataclasses.Field[Any]", hint: Any, panel: str) -> inspect.Parameter:
    default = field.default
    if field.metadata["parse"] is not None:
        hint = str if default is not None else str | None
        default = _as_text(default)
    elif field.metadata["choices"] is not None:
        hint = Literal[tuple(field.metadata["choices"])]
    alias = field.metadata["alias"]
    flags = [_flag(field), *([alias] if alias else [])]
    settings = typer.Option(*flags, help=field.metadata["help"], rich_help_panel=panel)
    return inspect.Parameter(
        _name(field), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, settings]
    )


def _option_fields(config: type) -> list["dataclasses.Field[Any]"]:
    return [field for field in dataclasses.fields(config) if "help" in field.metadata]


def _flag(field: "dataclasses.Field[Any]") -> str:
    flag: str = field.metadata["flag"] or "--" + field.name.replace("_", "-")
    return flag


def _name(field: "dataclasses.Field[Any]") -> str:
    return _flag(field).removeprefix("--").replace("-", "_")


def _as_text(value: object) -> str | None:
    """A default as one would type it."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.0f}s" if isinstance(value, float) else str(value)


def _same(given: object, recorded: object) -> bool:
    return (list(given) if isinstance(given, tuple) else given) == recorded
