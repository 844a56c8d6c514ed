"""What the command line asks of a command that trains: which videos, which network, trained how."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from convlstm_cli.cli.options import build, given_fields
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.explicit_settings import ExplicitSettings
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.settings import parse_size
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.presets import PRESETS, Preset, with_preset
from convlstm_cli.video.config import DataConfig


@dataclass(frozen=True)
class Request:
    """The options and arguments of one call, with a preset's values in place of defaults."""

    folders: tuple[Path, ...]
    output: Path | None
    size: str
    options: Mapping[str, Any]
    """What `with_options` declares, by the names of the options."""
    given: frozenset[str]
    """Names of the options and arguments that the user gave; those of a preset count where it was given."""

    @classmethod
    def read(
        cls,
        context: typer.Context,
        options: Mapping[str, Any],
        *,
        preset: Preset,
        size: str,
        folders: list[Path] | None = None,
        output: Path | None = None,
    ) -> "Request":
        """The request of a command's call. Raises UsageError for a preset that does not exist."""
        given = given_names(context)
        options = with_preset(preset, options, given & options.keys())
        if "preset" in given:  # which also gives what it leaves at the defaults
            given |= {name for preset_options in PRESETS.values() for name in preset_options} & context.params.keys()
        return cls(tuple(folders or ()), output, size, options, given)

    @property
    def training(self) -> TrainConfig:
        """How to train. Raises UsageError for a wrong value."""
        return build(TrainConfig, self.options)

    def model(self, height: int, width: int, channels: int = 1) -> ForecasterConfig:
        """The network for frames of this size. Raises UsageError for a wrong value."""
        return build(ForecasterConfig, self.options, height=height, width=width, channels=channels)

    def data(self, height: int, width: int) -> DataConfig:
        """The videos, brought to frames of this size. Raises UsageError for a wrong value."""
        return build(DataConfig, self.options, folders=tuple(map(str, self.folders)), height=height, width=width)

    def explicit(self, compare: CompareConfig | None = None) -> ExplicitSettings:
        """The settings that the user gave, as opposed to defaults. Raises UsageError for a wrong value."""
        height, width = self.frame_size()
        data = given_fields(self.data(height, width), self.given)
        if self.folders:
            data["folders"] = self.data(height, width).folders
        if "size" in self.given:
            data |= {"height": height, "width": width}
        return ExplicitSettings(
            data=data,
            model=given_fields(self.model(height, width), self.given),
            training=given_fields(self.training, self.given),
            compare={} if compare is None else given_fields(compare, self.given),
        )

    def frame_size(self) -> tuple[int, int]:
        """Height and width that --size asks for, in pixels. Raises UsageError."""
        return parse_size(self.size)


def given_names(context: typer.Context) -> frozenset[str]:
    """Names of the options and arguments that the user gave."""
    sources = {name: context.get_parameter_source(name) for name in context.params}
    return frozenset(name for name, source in sources.items() if source is not None and source.name != "DEFAULT")
