"""Dataclass fields as options of the command line, so that each is described and defaulted in one place."""

import dataclasses
import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, Literal, TypeVar, get_type_hints

import typer

Config = TypeVar("Config")
Command = Callable[..., None]
Panel = tuple[type, str]
"""A dataclass, and the title of the panel that shows its options in `--help`."""


def with_options(*panels: Panel, without: Collection[str] = ()) -> Callable[[Command], Command]:
    """Declares that a command, which takes **options, has an option for each `option` field of the dataclasses.

    `expand` makes them, when the command is asked for: making all options of all commands takes longer than printing
    a help page. `without` names options to leave out.
    """

    def declare(command: Command) -> Command:
        vars(command)["declared"] = panels, frozenset(without)
        return command

    return declare


def expand(command: Command) -> Command:
    """Gives a command the signature that `with_options` declares, from which typer makes its options."""
    panels, without = vars(command).get("declared", ((), frozenset()))
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


def flag_of(name: str) -> str:
    """The long flag of an option, such as `--batch-size` of `batch_size`."""
    return "--" + name.replace("_", "-")


def given_fields(config: Any, given: Collection[str]) -> dict[str, Any]:
    """The values of those fields of a dataclass whose options the user gave, by the names of the fields.

    `given` has the names of the options that were given.
    """
    assert dataclasses.is_dataclass(config)
    return {field.name: getattr(config, field.name) for field in _option_fields(type(config)) if _name(field) in given}


def _parameter(field: "dataclasses.Field[Any]", hint: Any, panel: str) -> inspect.Parameter:
    default, metadata = field.default, field.metadata
    metavar, complete = metadata["metavar"], None
    if metadata["parse"] is not None:
        hint = str if default is not None else str | None
        default = _as_text(default)
        if metadata["choices"] is not None:
            names = tuple(metadata["choices"])
            metavar, complete = f"<{'|'.join(names)}>,...", _completion(names)
    elif metadata["choices"] is not None:
        hint = Literal[tuple(metadata["choices"])]
    flags = [_switch(field), *([metadata["alias"]] if metadata["alias"] else [])]
    settings = typer.Option(
        *flags, help=metadata["help"], rich_help_panel=panel, metavar=metavar, autocompletion=complete
    )
    return inspect.Parameter(
        _name(field), inspect.Parameter.KEYWORD_ONLY, default=default, annotation=Annotated[hint, settings]
    )


def _completion(names: Collection[str]) -> Callable[[str], list[str]]:
    """Completes the last of several names that are separated by commas; a name that stands there is not offered."""

    def complete(incomplete: str) -> list[str]:
        begun = incomplete.rpartition(",")[0]
        taken = begun.split(",")
        return [f"{begun},{name}" if begun else name for name in names if name not in taken]

    return complete


def _option_fields(config: type) -> list["dataclasses.Field[Any]"]:
    return [field for field in dataclasses.fields(config) if "help" in field.metadata]


def _flag(field: "dataclasses.Field[Any]") -> str:
    return field.metadata["flag"] or flag_of(field.name)


def _switch(field: "dataclasses.Field[Any]") -> str:
    """The flag, with the one that turns it off where it is on by default."""
    flag = _flag(field)
    return f"{flag}/--no-{flag.removeprefix('--')}" if field.default is True else flag


def _name(field: "dataclasses.Field[Any]") -> str:
    return _flag(field).removeprefix("--").replace("-", "_")


def _as_text(value: object) -> str | None:
    """A default as a user would type it."""
    if value is None:
        return None
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    return f"{value:.0f}s" if isinstance(value, float) else str(value)
