"""What the arms of a comparison differ in: one option of the network or the training, with a value for each arm.

Imports no torch.
"""

from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields
from typing import Any

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.settings import flag_of, parse_field
from convlstm_cli.training.config import LIMITS, TrainConfig

RETRAINED = (*LIMITS, "seed", "device", "save_every")
"""Training settings that say how long, with which luck and where an arm is trained, and not what is compared."""
ALIKE = ("input_frames", "horizon", *RETRAINED, "patience", "checkpoint_every", "colormap")
"""Settings that all arms share: those of the clips, the above, and those that change no weight."""
PEEPHOLE = "peephole"


@dataclass(frozen=True)
class Variation:
    """One option and its values, as `--vary dropout=0,0.1` names them.

    Raises UsageError, which names --vary and what is wrong, for an option that arms cannot differ in, fewer than two
    different values, and a text that is no value of the option.
    """

    option: str
    """Its flag without dashes: `learning-rate`; another spelling of it is accepted."""
    values: tuple[str, ...]
    """As they are typed; the arm of the first is the reference."""

    def __post_init__(self) -> None:
        config, name = self._declared()
        object.__setattr__(self, "option", flag_of(config, name).removeprefix("--"))
        if name in ALIKE:
            raise UsageError(
                f"--vary {self.option}: all arms of a comparison have the same --{self.option}; vary another option of "
                "the network or the training."
            )
        if len(set(self.values)) < 2 or not all(self.values):
            raise UsageError(
                f"--vary {self.option}={','.join(self.values)}: a comparison needs at least two different values, such "
                "as dropout=0,0.1; where a value has commas, they are separated by semicolons: 'hidden=16,16;32,32'."
            )
        for value in self.values:
            parse_field(config, name, value)

    @classmethod
    def read(cls, text: str) -> "Variation":
        """`OPTION=VALUE,VALUE`, or `OPTION=VALUE;VALUE` where the values have commas. Raises UsageError."""
        option, equals, values = text.partition("=")
        if not equals:
            raise UsageError(f"--vary is {text!r}; give OPTION=VALUE,VALUE, such as dropout=0,0.1.")
        parts = values.split(";" if ";" in values else ",")
        return cls(option.strip().lstrip("-").replace("_", "-"), tuple(part.strip() for part in parts))

    @property
    def config(self) -> type:
        """The dataclass that has the option: `ForecasterConfig` or `TrainConfig`."""
        return self._declared()[0]

    @property
    def name(self) -> str:
        """The name of its field."""
        return self._declared()[1]

    @property
    def settings(self) -> tuple[Any, ...]:
        """The field's value of each arm."""
        return tuple(parse_field(self.config, self.name, value) for value in self.values)

    @property
    def arms(self) -> tuple[str, ...]:
        """The name of each arm, such as `dropout=0.1`; kinds of peephole are called by their own names.

        They become the names of folders, so that a path's slashes are dashes; where that makes two alike, the later has
        its place behind it.
        """
        found: list[str] = []
        for place, value in enumerate(self.values, 1):
            plain = value.replace("/", "-").replace("\\", "-")
            name = plain if self.option == PEEPHOLE else f"{self.option}={plain}"
            found.append(f"{name}-{place}" if name in found else name)
        return tuple(found)

    @property
    def in_words(self) -> Mapping[str, str]:
        """What sentences call each arm, by its name."""
        if self.option == PEEPHOLE:
            return peepholes_in_words(self.values)
        said = {}
        for arm, value, setting in zip(self.arms, self.values, self.settings, strict=True):
            if isinstance(setting, bool):
                said[arm] = f"the training {'with' if setting else 'without'} --{self.option}"
            else:
                said[arm] = f"the training with --{self.option} {value}"
        return said

    def _declared(self) -> tuple[type, str]:
        """The dataclass and the field of the option."""
        for config in (ForecasterConfig, TrainConfig):
            for field in fields(config):
                if "help" in field.metadata and f"--{self.option}" in _flags(config, field):
                    return config, field.name
        raise UsageError(
            f"--vary {self.option}: is no option of the network or the training; convlstm compare --help lists them in "
            "the panels Network and Training."
        )


def peepholes_in_words(kinds: Iterable[str]) -> dict[str, str]:
    """What sentences call networks with these kinds of peephole."""
    return {kind: f"the network {'without' if kind == 'none' else f'with {kind}'} peepholes" for kind in kinds}


def _flags(config: type, field: "Field[Any]") -> tuple[str | None, ...]:
    return flag_of(config, field.name), field.metadata["alias"]
