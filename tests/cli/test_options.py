import dataclasses
import inspect

import pytest

from convlstm_cli.cli.options import build, check_unchanged, with_options
from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig


def command_with(*configs: type, without: str = "") -> dict[str, inspect.Parameter]:
    @with_options(*((config, "Panel") for config in configs), without=without)
    def command(own: int = 0, **options: object) -> None:
        """Does nothing."""

    return dict(inspect.signature(command).parameters)


def test_every_field_with_help_is_an_option() -> None:
    parameters = command_with(DataConfig, ForecasterConfig, TrainConfig)
    assert {"own", "fit", "frames", "hidden", "max_time", "seed"} < set(parameters)
    assert not {"height", "folders", "channels", "horizon"} & set(parameters)
    assert parameters["epoch_steps"].default == TrainConfig.epoch_steps
    assert parameters["batch_size"].default == str(TrainConfig.batch_size)  # since it may be auto
    assert parameters["hidden"].default == "32,32"
    assert "peephole" not in command_with(ForecasterConfig, without="peephole")


def test_no_two_fields_share_a_flag() -> None:
    names = [list(command_with(config))[1:] for config in (DataConfig, ForecasterConfig, TrainConfig)]
    flat = [name for group in names for name in group]
    assert len(flat) == len(set(flat))


def test_defaults_build_the_default() -> None:
    for config, others in (
        (TrainConfig, {}),
        (PredictConfig, {}),
        (DataConfig, {"folders": ("x",)}),
        (ForecasterConfig, {"height": 64, "width": 64, "channels": 1}),
    ):
        options = {name: parameter.default for name, parameter in command_with(config).items() if name != "own"}
        assert build(config, options, **others) == config(**others)


def test_text_is_parsed_and_told_with_its_flag() -> None:
    options = {name: parameter.default for name, parameter in command_with(TrainConfig).items()}
    assert build(TrainConfig, {**options, "max_time": "2m"}).max_time == 120.0
    with pytest.raises(UsageError, match="--max-time"):
        build(TrainConfig, {**options, "max_time": "later"})


def test_only_what_was_given_and_differs_is_refused() -> None:
    given = ForecasterConfig(64, 64, 1, hidden=(8,), horizon=5)
    recorded = {**dataclasses.asdict(ForecasterConfig(64, 64, 1)), "hidden": [8]}  # as JSON gives it back
    check_unchanged(given, recorded, {"hidden"})
    check_unchanged(given, recorded, set())
    with pytest.raises(UsageError, match="--frames is 5 and this run was begun with 10"):
        check_unchanged(given, recorded, {"hidden", "frames"})
