"""The rule of going on with a run: the settings that were given must be the recorded ones, or free to change.

Imports no torch.
"""

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.settings import check_unchanged
from convlstm_cli.training.config import AUTO_BATCH, AUTO_INIT, LIMITS, TrainConfig
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.config import DataConfig

if TYPE_CHECKING:
    from convlstm_cli.runs.run import Run

ANYWHERE = ("device", "save_every", "checkpoint_every", "colormap")
"""Settings of a training that change nothing of what is trained."""
CHANGEABLE = (*LIMITS, "patience", *ANYWHERE)
"""Settings of a training that may change when it goes on: how long and where, not what."""

OPEN = {"batch_size": AUTO_BATCH, "init": AUTO_INIT}
"""Values of settings that stand for what is on record."""

Given = Mapping[str, Any]
"""Settings that were given explicitly: values by the names of a dataclass's fields."""
NOTHING: Given = {}


def settings_to_go_on(
    run: "Run", *, training: Given = NOTHING, model: Given = NOTHING, data: Given = NOTHING
) -> TrainConfig:
    """The settings to go on with a run: the recorded ones, with those of `training` that may change.

    Args:
        run: the run to go on with.
        training: settings of `TrainConfig`. One of `LIMITS` replaces all limits that were recorded, and those of `OPEN`
            stand for what was.
        model: settings of `ForecasterConfig`.
        data: settings of `DataConfig`.

    Raises:
        UsageError: a setting that differs from the recorded one and may not change; the message names its option.
        RunError: the run's config.json is damaged.
    """
    check_agrees(run.folder, run.config, model=model, data=data)
    recorded = train_config(run)
    changed = {name: training[name] for name in CHANGEABLE if name in training}
    if changed.keys() & set(LIMITS):
        changed = {**dict.fromkeys(LIMITS), **changed}
    check_unchanged(TrainConfig, settled(training), dataclasses.asdict(recorded), free=CHANGEABLE)
    return dataclasses.replace(recorded, **changed)


def settled(training: Given) -> Given:
    """The settings of a training without those that stand for what is on record."""
    return {name: value for name, value in training.items() if name not in OPEN or value != OPEN[name]}


def differences(recorded: TrainConfig, config: TrainConfig) -> dict[str, Any]:
    """The settings that differ from the recorded ones; all limits where one differs, since they go together."""
    wanted = dataclasses.asdict(config)
    differing = {name for name, value in dataclasses.asdict(recorded).items() if wanted[name] != value}
    if differing & set(LIMITS):
        differing |= set(LIMITS)
    return {name: wanted[name] for name in wanted if name in differing}


def check_agrees(begun: Path, recorded: Mapping[str, Any], *, model: Given = NOTHING, data: Given = NOTHING) -> None:
    """Raises UsageError, which names the option, where settings of network or videos differ from the recorded ones.

    Args:
        begun: the run or comparison to go on with.
        recorded: `model` and `data` as its config.json or comparison.json holds them; settings of the videos stand
            directly in `data`, or in its entry `settings`.
        model: settings of `ForecasterConfig` that were given.
        data: settings of `DataConfig` that were given.
    """
    settings = recorded["data"].get("settings", recorded["data"])
    folders = sorted(map(os.path.abspath, data.get("folders", ())))
    if folders and folders != sorted(settings["folders"]):
        raise UsageError(
            f"FOLDER is {', '.join(folders)} and {begun} was begun with {', '.join(settings['folders'])}; leave it out "
            "to go on."
        )
    size, before = [(each.get("height"), each.get("width")) for each in ({**settings, **data}, settings)]
    if size != before:
        raise UsageError(
            f"--size is {size[0]}x{size[1]} and {begun} was begun with {before[0]}x{before[1]}; leave it out."
        )
    check_unchanged(DataConfig, data, settings, free=("folders", "height", "width"))
    check_unchanged(ForecasterConfig, model, recorded["model"])
