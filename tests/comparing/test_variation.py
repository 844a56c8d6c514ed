"""What --vary says: which option, which values, and what the arms are called."""

import json
from dataclasses import asdict, fields

import pytest

from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.variation import ALIKE, Variation
from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.settings import flag_of
from convlstm_cli.training.config import TrainConfig


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("dropout", "--vary is 'dropout'; give OPTION=VALUE,VALUE"),
        ("drop=0,1", "--vary drop: is no option of the network or the training"),
        ("fit=pad,crop", "--vary fit: is no option"),
        ("frames=3,5", "--vary frames: all arms of a comparison have the same --frames"),
        ("seed=1,2", "--vary seed: all arms"),
        ("dropout=0.1", "at least two different values"),
        ("dropout=0.1,0.1", "at least two different values"),
        ("dropout=0.1,", "at least two different values"),
        ("dropout=0,much", "--dropout is 'much'; give a number"),
        ("dilation=1,1.5", "--dilation is '1.5'; give a whole number"),
        ("layer-norm=yes,no", "--layer-norm is 'yes'; choose one of on, off"),
        ("hidden=2;many", "--hidden is 'many'"),
    ],
)
def test_what_makes_no_comparison_is_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        CompareConfig(vary=text)


def test_every_other_option_is_known_by_its_flag() -> None:
    for config in (ForecasterConfig, TrainConfig):
        for field in fields(config):
            if "help" in field.metadata and field.name not in ALIKE:
                with pytest.raises(UsageError, match="at least two different"):
                    Variation(flag_of(config, field.name).removeprefix("--"), ("1",))
    assert Variation.read("batch=2,auto").option == "batch-size"


def test_arms_have_names_for_folders_and_words_for_sentences() -> None:
    assert Variation.read("init=none,runs/a,runs-a").arms == ("init=none", "init=runs-a", "init=runs-a-3")
    assert Variation.read("dropout=0,0.1").in_words == {
        "dropout=0": "the training with --dropout 0",
        "dropout=0.1": "the training with --dropout 0.1",
    }
    assert list(Variation.read("layer-norm=on,off").in_words.values()) == [
        "the training with --layer-norm",
        "the training without --layer-norm",
    ]
    assert Variation.read("peephole=none,full").in_words == {
        "none": "the network without peepholes",
        "full": "the network with full peepholes",
    }


def test_the_settings_of_a_comparison_have_it_in_either_form() -> None:
    config = CompareConfig(vary="dropout=0,0.1")
    assert config.arms == ("dropout=0", "dropout=0.1")
    assert CompareConfig(**json.loads(json.dumps(asdict(config)))) == config
    assert CompareConfig().variation == Variation("peephole", ("none", "channel", "full"))
    assert CompareConfig(("runs/a", "runs/b")).variation is None
    with pytest.raises(UsageError, match="undoes --vary hidden"):
        CompareConfig(vary="hidden=8;16", match="params")
