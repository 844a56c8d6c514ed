"""Converts the values of most options without typer, which imports pydantic to convert any.

That import takes a tenth of the time that `import torch` takes. What is converted here is what typer would make of it,
and whatever else there is, typer converts. Messages are ours, since pydantic's do not name the value.
"""

import os
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer import BadParameter

from convlstm_cli.errors import UsageError


class _Typers(Exception):
    """Typer has to convert the value."""


class Conversion:
    """The conversion of one parameter of a command, in place of typer's."""

    def __init__(self, parameter: Any) -> None:
        self._annotation = parameter.type_descriptor.annotation
        self._typer = parameter.get_runtime_param

    def itself(self) -> "Conversion":
        """As typer asks for what converts a parameter."""
        return self

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """A value in the type of its parameter, as typer calls it.

        Raises UsageError for what is no number or none of several choices, and for an empty path, which Path takes for
        the working folder; else typer's errors.
        """
        several = param.multiple or param.nargs == -1
        if value is None:
            return () if several else None
        if "" in (value if several else (value,)) and Path in (self._annotation, *get_args(self._annotation)):
            name = param.opts[-1] if param.param_type_name == "option" else param.metavar or param.name.upper()
            raise UsageError(
                f"{name} has an empty path, as a variable of the shell without a value gives; name what you mean, and "
                ". for the working folder."
            )
        try:
            if several and get_origin(self._annotation) is list:
                (annotation,) = get_args(self._annotation)
                return [_converted(each, annotation) for each in value]
            return _converted(value, self._annotation)
        except _Typers:
            try:
                return self._typer().coerce(value, param=param, ctx=ctx)
            except BadParameter as error:
                if (wanted := _wanted(self._annotation)) is None:
                    raise
                raise UsageError(f"{param.opts[0]} is {value!r}; {wanted}.") from error


def convert_quickly(parameters: list[Any]) -> list[Any]:
    """The parameters of a command, whose values `Conversion` converts from now on.

    They use internals of typer. With a typer that has other internals, typer itself converts the values.
    """
    for parameter in parameters:
        own = "get_runtime_param" in vars(parameter)  # typer asks for the parameters more than once
        if not own and hasattr(parameter, "get_runtime_param") and hasattr(parameter, "type_descriptor"):
            conversion = Conversion(parameter)
            parameter.get_runtime_param = conversion.itself
    return parameters


def _wanted(annotation: Any) -> str | None:
    """What a value has to be, a clause; None where typer says it."""
    if get_origin(annotation) is Literal:
        return f"choose one of {', '.join(get_args(annotation))}"
    return {int: "give a whole number", float: "give a number"}.get(annotation)


def _converted(value: Any, annotation: Any) -> Any:
    """A text, or a default, as a whole number, a path, one of several choices or a text. Raises _Typers."""
    if get_origin(annotation) is Literal:
        if value in get_args(annotation):
            return value
    elif type(value) is annotation:
        if annotation is not str or value.isprintable():
            return value
    elif annotation is Path and isinstance(value, Path):
        return value
    elif isinstance(value, str) and value.isprintable():
        if annotation is int and value.isdecimal() and value.isascii() and len(value) < 10:
            return int(value)
        if annotation is Path and not (os.path.lexists(value) and not os.access(value, os.R_OK)):
            return Path(value)
    raise _Typers
