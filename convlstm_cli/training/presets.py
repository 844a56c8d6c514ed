"""Named sets of options for training, as one would type them. Imports no torch."""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from convlstm_cli.settings import check_choice

Preset = Literal["small", "mse", "base", "paper"]

PRESETS: dict[Preset, dict[str, Any]] = {
    # The defaults: the best forecasts that were found for minutes on two CPU cores (scripts/recipe_*.csv).
    "small": {},
    # The least squared error on many videos of one kind. Motion that is carried on and the shipped weights are a detour
    # where things bounce, a step takes half the time without them, and sharp frames are not what MSE asks for
    # (scripts/README.md, time to skill).
    "mse": {"forecaster": "unconditioned", "head": "sigmoid", "init": "none", "loss": "mse"},
    # A larger network and longer averages, for many hours on a CPU or for a GPU.
    "base": {"hidden": "64,64,64", "kernel_size": 5, "learning_rate": 1e-3, "average": 0.999},
    # Shi et al. 2015, section 4.1: the network and the training of the published 3-layer ConvLSTM.
    "paper": {
        "hidden": "128,64,64",
        "kernel_size": 5,
        "patch_size": 4,
        "peephole": "channel",
        "forecaster": "unconditioned",
        "head": "sigmoid",
        "init": "none",
        "loss": "bce",
        "optimizer": "rmsprop",
        "learning_rate": 1e-3,
        "schedule": "constant",
        "warmup": 0.0,
        "weight_decay": 0.0,
        "clip_norm": 0.0,
        "average": 0.0,
    },
}
"""Options by their names on the command line, with _ for -."""


def with_preset(name: Preset, options: Mapping[str, Any], given: Collection[str]) -> dict[str, Any]:
    """Options of the command line, with the preset's in place of defaults.

    Args:
        name: of the preset.
        options: all options of the command, defaults included; other options of the preset are ignored.
        given: names of the options that the user gave, which keep their values.

    Raises:
        UsageError: there is no such preset.
    """
    check_choice("--preset", name, Preset)
    preset = {option: value for option, value in PRESETS[name].items() if option in options and option not in given}
    return {**options, **preset}
