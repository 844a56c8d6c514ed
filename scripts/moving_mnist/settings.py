"""The settings of the Moving MNIST benchmark, parsed from its command line."""

import argparse
import types
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, asdict, dataclass, fields
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.train import check_options
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.presets import PRESETS
from moving_mnist.sequences import CANVAS

Config = TypeVar("Config", ForecasterConfig, TrainConfig)

SYSTEMS = ("ours", "plain")
INPUT_FRAMES, HORIZON = 10, 10
EPOCH = 10_000
"""Sequences of one epoch, the size of the usual training set."""

Kind = Literal["model", "train"]

PLANNED: dict[Kind, set[str]] = {
    "model": {"height", "width", "channels", "input_frames", "horizon"},
    "train": {"epochs", "epoch_steps", "max_time", "max_steps", "patience"},
}
"""Fields that this benchmark sets or does not use."""


@dataclass(frozen=True)
class Settings:
    """Everything that the trained networks depend on."""

    systems: tuple[str, ...]
    model: ForecasterConfig
    train: TrainConfig
    """The training of ours; the plain network shares its batch size, seed and device."""
    plain_head: Literal["sigmoid", "linear"]
    minutes: float | None
    """Training time of each system; None where `steps` is given."""
    steps: int | None
    curve: int
    """Points of the learning curve."""
    validation_sequences: int

    def flat(self, digest: int) -> dict[str, Any]:
        """The settings by name, as JSON holds them, with the checksum of the digits."""
        named = {f"--model-option {name}": value for name, value in free("model", self.model).items()}
        named |= {f"--train-option {name}": value for name, value in free("train", self.train).items()}
        del named["--train-option save_every"]  # has no effect on the results
        for name in ("systems", "plain_head", "minutes", "steps", "curve", "validation_sequences"):
            named["--" + name.replace("_", "-")] = getattr(self, name)
        plain = {name: list(value) if isinstance(value, tuple) else value for name, value in named.items()}
        return {**plain, "the digest of --mnist": digest}


def free(kind: Kind, config: ForecasterConfig | TrainConfig) -> dict[str, Any]:
    """The fields that options may set."""
    return {name: value for name, value in asdict(config).items() if name not in PLANNED[kind]}


def of_options(options: argparse.Namespace) -> Settings:
    """The settings of parsed options. Raises UsageError for invalid ones."""
    systems = tuple(options.systems.split(","))
    if not set(systems) <= set(SYSTEMS) or len(set(systems)) < len(systems):
        raise UsageError(f"--systems is {options.systems!r}; choose from {','.join(SYSTEMS)}.")
    given = _merged(ForecasterConfig, options, ("hidden", "kernel_size", "patch_size"), options.model_option, "model")
    model = ForecasterConfig(CANVAS, CANVAS, 1, input_frames=INPUT_FRAMES, horizon=HORIZON, **given)
    train = TrainConfig(
        **_merged(TrainConfig, options, ("batch_size", "seed", "device"), options.train_option, "train")
    )
    check_options(model, train)
    numbers = {
        "--epochs": options.epochs,
        "--steps": options.steps,
        "--validation-sequences": options.validation_sequences,
        "--test-sequences": options.test_sequences,
    }
    for flag, number in numbers.items():
        if number is not None and number < 1:
            raise UsageError(f"{flag} is {number}; it must be at least 1.")
    if options.curve < 0:
        raise UsageError(f"--curve is {options.curve}; give a number of points, or 0 for none.")
    steps = options.steps
    if options.epochs is not None:
        steps = -(-options.epochs * EPOCH // train.batch_size)
    minutes = None if steps is not None else options.minutes
    if minutes is not None and not minutes > 0:
        raise UsageError(f"--minutes is {minutes}; it must be positive.")
    return Settings(
        systems=systems,
        model=model,
        train=train,
        plain_head=options.plain_head,
        minutes=minutes,
        steps=steps,
        curve=options.curve,
        validation_sequences=options.validation_sequences,
    )


def check_unchanged(now: Mapping[str, Any], before: Mapping[str, Any], place: str) -> None:
    """Raises a UsageError that names the first setting that differs."""
    for name in (*now, *(name for name in before if name not in now)):
        if now.get(name) != before.get(name):
            raise UsageError(
                f"{name} is {now.get(name)}, but {place} was started with {before.get(name)}; "
                "resume with the original options, or choose another --output."
            )


def _merged(
    config: type[Config], options: argparse.Namespace, own: Sequence[str], given: Sequence[str], kind: Kind
) -> dict[str, Any]:
    """Values of a dataclass's fields, from their own options, from NAME=VALUE, or else from the preset."""
    texts = {name: str(getattr(options, name)) for name in own if getattr(options, name) is not None}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals:
            raise UsageError(f"--{kind}-option is {pair!r}; give NAME=VALUE.")
        if name in texts:
            raise UsageError(f"--{kind}-option {name} is given twice, or also as an option of its own.")
        texts[name] = text
    known = {field.name: field for field in fields(config) if field.default is not MISSING}
    preset = {name: str(value) for name, value in PRESETS[options.preset].items() if name in known}
    hints = get_type_hints(config)
    values = {}
    for name, text in (preset | texts).items():
        if name in PLANNED[kind] or name not in known:
            names = ", ".join(name for name in known if name not in PLANNED[kind])
            raise UsageError(f"--{kind}-option names {name!r}; choose from {names}.")
        values[name] = _value(f"--{kind}-option {name}", text, hints[name], known[name].metadata.get("parse"))
    return values


def _value(flag: str, text: str, hint: Any, parse: Any) -> Any:
    """A field's value, parsed from text. Raises a UsageError that names `flag`."""
    choices = get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)
    if type(None) in choices and text == "none":
        return None
    if parse is not None:
        return parse(flag, text)
    kind = next(choice for choice in choices if choice is not type(None))
    if kind is bool:
        if text not in ("true", "false"):
            raise UsageError(f"{flag} is {text!r}; give true or false.")
        return text == "true"
    if kind not in (int, float):
        return text  # a word, which the dataclass itself checks
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"{flag} is {text!r}; give a number.") from None
