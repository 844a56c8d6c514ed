import dataclasses
import inspect
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from convlstm_cli.cli.options import build, expand, flag_of, given_fields, with_options
from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.settings import check_unchanged, option, parse_names
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig


def command_with(*configs: type, without: Collection[str] = ()) -> dict[str, inspect.Parameter]:
    """The parameters of a command with the options of these dataclasses."""

    @with_options(*((config, "Panel") for config in configs), without=without)
    def command(own: int = 0, **options: object) -> None:
        """Does nothing."""

    return dict(inspect.signature(expand(command)).parameters)


def test_every_field_with_help_is_an_option() -> None:
    parameters = command_with(DataConfig, ForecasterConfig, TrainConfig)
    assert {"own", "fit", "frames", "hidden", "max_time", "seed"} < set(parameters)
    assert not {"height", "folders", "horizon"} & set(parameters)
    assert parameters["epoch_steps"].default == TrainConfig.epoch_steps
    assert parameters["batch_size"].default == str(TrainConfig.batch_size)  # since it may be auto
    assert parameters["hidden"].default == "32,32"
    assert "peephole" not in command_with(ForecasterConfig, without=("peephole",))


def test_no_two_fields_share_a_flag() -> None:
    names = [list(command_with(config))[1:] for config in (DataConfig, ForecasterConfig, TrainConfig)]
    flat = [name for group in names for name in group]
    assert len(flat) == len(set(flat))


def test_defaults_build_the_default() -> None:
    cases: list[tuple[type, dict[str, Any]]] = [
        (TrainConfig, {}),
        (PredictConfig, {}),
        (DataConfig, {"folders": ("x",)}),
        (ForecasterConfig, {"height": 64, "width": 64, "channels": 1}),
    ]
    for config, others in cases:
        options = {name: parameter.default for name, parameter in command_with(config).items() if name != "own"}
        assert build(config, options, **others) == config(**others)


def test_text_is_parsed_and_refused_with_its_flag() -> None:
    options = {name: parameter.default for name, parameter in command_with(TrainConfig).items()}
    assert build(TrainConfig, {**options, "max_time": "2m"}).max_time == 120.0
    with pytest.raises(UsageError, match="--max-time"):
        build(TrainConfig, {**options, "max_time": "later"})


def test_only_what_was_given_and_differs_is_refused() -> None:
    config = ForecasterConfig(64, 64, 1, hidden=(8,), horizon=5)
    recorded = {**dataclasses.asdict(ForecasterConfig(64, 64, 1)), "hidden": [8]}  # as JSON gives it back
    assert given_fields(config, {"hidden", "frames"}) == {"hidden": (8,), "horizon": 5}
    check_unchanged(ForecasterConfig, given_fields(config, {"hidden"}), recorded)
    check_unchanged(ForecasterConfig, given_fields(config, ()), recorded)
    with pytest.raises(UsageError, match="--frames is 5 and this run was begun with 10"):
        check_unchanged(ForecasterConfig, given_fields(config, {"hidden", "frames"}), recorded)


DISHES: dict[str, None] = {"soup": None, "salad": None}
"""A registry, to which a dish can be added."""


@dataclass(frozen=True)
class Order:
    """What is ordered: one dish, and what goes with it."""

    dish: str = option("soup", "What to eat.", choices=DISHES)
    sides: tuple[str, ...] = option((), "What else.", parse=parse_names, choices=DISHES)


@pytest.fixture
def order() -> typer.Typer:
    """A program whose options are those of an order, with a dish that was added to the registry."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DISHES, "stew", None)

        @with_options((Order, "Food"))
        def command(**options: Any) -> None:
            typer.echo(build(Order, options))

        program = typer.Typer()
        program.command("order")(expand(command))
        return program


def test_names_of_a_registry_are_shown_offered_and_taken(order: typer.Typer) -> None:
    page = CliRunner().invoke(order, ["--help"], env={"COLUMNS": "100"}).stdout
    assert "<soup|salad|stew>" in page
    assert "<soup|salad|stew>,..." in page
    taken = CliRunner().invoke(order, ["--dish", "stew", "--sides", "salad,stew"])
    assert "dish='stew', sides=('salad', 'stew')" in taken.stdout
    assert CliRunner().invoke(order, ["--dish", "pie"]).exit_code == 2


@pytest.mark.parametrize(
    ("begun", "offered"),
    [
        ("--dish s", ["salad", "soup", "stew"]),
        ("--sides so", ["soup"]),
        ("--sides soup,s", ["soup,salad", "soup,stew"]),  # none twice
    ],
)
def test_names_are_completed(begun: str, offered: list[str], order: typer.Typer) -> None:
    words = {"_ORDER_COMPLETE": "complete_bash", "COMP_WORDS": f"order {begun}", "COMP_CWORD": "2"}
    shown = CliRunner().invoke(order, [], env=words, prog_name="order").stdout
    assert sorted(shown.split()) == offered


def test_the_flag_of_an_option_has_hyphens() -> None:
    assert flag_of("batch_size") == "--batch-size"
