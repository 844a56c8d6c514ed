import dataclasses
import inspect
from typing import get_args

import pytest

from convlstm_cli.cli.options import build, expand, with_options
from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.train import check_options
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.presets import PRESETS, Preset, with_preset


def defaults() -> dict[str, object]:
    """All options of the network and of training, as the command line gives them."""

    @with_options((ForecasterConfig, "Network"), (TrainConfig, "Training"))
    def command(**options: object) -> None:
        """Does nothing."""

    return {name: parameter.default for name, parameter in inspect.signature(expand(command)).parameters.items()}


def network(options: dict[str, object]) -> ForecasterConfig:
    return build(ForecasterConfig, options, height=64, width=64, channels=1)


@pytest.mark.parametrize("name", get_args(Preset))
def test_a_preset_is_made_of_options_that_exist_and_go_together(name: Preset) -> None:
    assert PRESETS[name].keys() <= defaults().keys()
    options = with_preset(name, defaults(), ())
    check_options(network(options), build(TrainConfig, options))


def test_small_is_the_default() -> None:
    options = with_preset("small", defaults(), ())
    assert network(options) == ForecasterConfig(64, 64, 1)
    assert build(TrainConfig, options) == TrainConfig()


def test_paper_is_the_published_network_and_training() -> None:
    """Shi et al. 2015, section 4.1 and table 1."""
    options = with_preset("paper", defaults(), ())
    assert parameter_count(network(options)) == 7_585_296
    training = build(TrainConfig, options)
    assert (training.optimizer, training.learning_rate, training.schedule) == ("rmsprop", 1e-3, "constant")
    assert (training.loss, training.average, training.clip_norm) == ("bce", 0.0, 0.0)


def test_what_is_given_counts() -> None:
    options = with_preset("paper", {**defaults(), "hidden": "8"}, {"hidden"})
    assert network(options).hidden == (8,)
    assert network(options).kernel_size == 5


def test_options_that_a_command_has_not_are_left_out() -> None:
    options = {name: value for name, value in defaults().items() if name != "peephole"}
    assert "peephole" not in with_preset("paper", options, ())


def test_an_unknown_preset_is_refused() -> None:
    with pytest.raises(UsageError, match="--preset is 'huge'; choose one of small, mse, base, paper"):
        with_preset("huge", defaults(), ())  # type: ignore[arg-type]


def test_base_is_larger_than_small() -> None:
    small, base = (parameter_count(network(with_preset(name, defaults(), ()))) for name in ("small", "base"))
    assert base > 2 * small
    assert dataclasses.asdict(network(with_preset("base", defaults(), ())))["forecaster"] == "advected"
