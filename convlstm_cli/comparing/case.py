"""What a comparison judges: trained arms, the test clips, and how the runs came about."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.comparison_result import Kind
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.colormaps import DEFAULT_COLORMAP

NOT_COMPARED = ("seed", "device", "save_every", "checkpoint_every", "colormap")
"""Settings of a training that do not change what is learned, and the seed, which all arms share."""


@dataclass(frozen=True)
class TrainedArm:
    """An arm with a run for each seed."""

    name: str
    runs: tuple[Run, ...]
    step_seconds: float | None = None
    """Median time of an optimiser step; None where it was not measured."""

    @property
    def model(self) -> ForecasterConfig:
        """The network, the same for all seeds."""
        return self.runs[0].model_config

    @property
    def settings(self) -> dict[str, Any]:
        """All settings in which arms can differ, as JSON holds them."""
        return settings_of(self.runs[0])


@dataclass(frozen=True)
class Case:
    """A comparison whose runs are trained."""

    folder: Path
    """Where the result is written."""
    final_folder: Path
    """Where the comparison is once it is finished; the same unless `folder` is renamed in the end."""
    arms: tuple[TrainedArm, ...]
    """The first is what the others are compared with."""
    seeds: tuple[int, ...]
    clips: ClipDataset
    """The test clips."""
    input_frames: int
    """Frames of a clip that are read; the others are forecast."""
    batch_size: int
    """Clips that are forecast at a time."""
    kind: Kind
    match: str | None
    """What the arms are matched in; None for existing runs."""
    settings: Mapping[str, Mapping[str, Any]]
    """As they were asked for: `data`, `model`, `training` and `compare`."""
    warnings: tuple[str, ...] = ()
    """What is known before the scoring to weaken the result."""
    extended: bool = False
    """Whether seeds were added after a result was seen."""
    colormap: str = DEFAULT_COLORMAP
    """The colours of the report's films, as --colormap takes them."""

    @property
    def videos(self) -> list[str]:
        """The name of each clip's video."""
        return [name for name, _ in self.clips.clips]

    @property
    def horizon(self) -> int:
        """Lead times that are scored."""
        return self.clips.clip_frames - self.input_frames


def settings_of(run: Run) -> dict[str, Any]:
    """All settings of data, network and training in which a run can differ from one of another arm, as JSON holds them.

    Raises RunError where config.json does not hold them.
    """
    training = asdict(train_config(run))
    return as_json(
        {
            **run.config["data"]["settings"],
            **asdict(run.model_config),
            **{name: training[name] for name in training if name not in NOT_COMPARED},
        }
    )


def as_json(content: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as they are read back from JSON, with lists for tuples."""
    found: dict[str, Any] = json.loads(json.dumps(content))
    return found
