import dataclasses
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.config import PredictConfig, parse_tile
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.settings import parse_duration, parse_names, parse_numbers, write_duration
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.watching.config import WatchConfig


@pytest.mark.parametrize(
    ("text", "seconds"), [("90", 90), ("90s", 90), ("10m", 600), ("1.5h", 5400), ("1h30m", 5400), ("1 H 1 s", 3601)]
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration("--max-time", text) == seconds


@given(st.integers(0, 99), st.integers(0, 59), st.integers(1, 59))
def test_durations_add_up(hours: int, minutes: int, seconds: int) -> None:
    assert parse_duration("--max-time", f"{hours}h{minutes}m{seconds}s") == hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize("text", ["", "soon", "10 minutes", "-5m", "0s", "m", "1..5h"])
def test_what_is_no_duration_names_the_option(text: str) -> None:
    with pytest.raises(UsageError, match="--max-time"):
        parse_duration("--max-time", text)


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"epochs": 0}, "--epochs"),
        ({"max_time": 0.0}, "--max-time"),
        ({"max_time": float("nan")}, "--max-time"),
        ({"max_steps": 0}, "--max-steps"),
        ({"batch_size": -1}, "--batch-size"),
        ({"learning_rate": -1.0}, "--learning-rate"),
        ({"warmup": 1.0}, "--warmup"),
        ({"weight_decay": -0.1}, "--weight-decay"),
        ({"clip_norm": -1.0}, "--clip-norm"),
        ({"optimizer": "sgd"}, "--optimizer"),
        ({"schedule": "steps"}, "--schedule"),
        ({"augment": ("hflip", "shear")}, "--augment"),
        ({"scheduled_sampling": 1.5}, "--scheduled-sampling"),
        ({"patience": -1}, "--patience"),
        ({"average": 1.0}, "--average"),
        ({"seed": -1}, "--seed"),
        ({"loss": "magic"}, "--loss"),
        ({"precision": "fp8"}, "--precision"),
        ({"save_every": 0.0}, "--save-every"),
    ],
)
def test_a_wrong_training_option_is_named(change: dict[str, object], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        dataclasses.replace(TrainConfig(), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"fit": "squeeze"}, "--fit"),
        ({"colour": "cmyk"}, "--colour"),
        ({"stride": 0}, "--stride"),
        ({"every": "often"}, "--every"),
        ({"every": "0s"}, "--every"),
        ({"every": "0.000001s"}, "--every"),
        ({"max_gap": 1.0}, "--max-gap"),
        ({"max_gap": math.nan}, "--max-gap"),
        ({"validation": 0.0}, "--validation"),
        ({"test": 1.0}, "--test"),
        ({"validation": 0.5, "test": 0.5}, "--validation and --test"),
    ],
)
def test_a_wrong_data_option_is_named(change: dict[str, object], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        DataConfig(("folder",), **change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"frames": 0}, "--frames"),
        ({"at": 0}, "--at"),
        ({"fps": 0.0}, "--fps"),
        ({"formats": ()}, "--format"),
        ({"names": "date"}, "--names"),
        ({"names": "time", "formats": ("webm",)}, "--names time names images"),
        ({"max_gap": 0.5}, "--max-gap"),
        ({"formats": ("png", "avif")}, "--format"),
        ({"size": "huge"}, "--size"),
        ({"tile": 64}, "--tile goes with --native-size"),
        ({"tile_overlap": 16}, "--tile-overlap goes with --native-size"),
        ({"native_size": True, "tile": 8}, "--tile is 8"),
        ({"native_size": True, "tile_overlap": -1}, "--tile-overlap is -1"),
    ],
)
def test_a_wrong_prediction_option_is_named(change: dict[str, object], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        PredictConfig(**change)  # type: ignore[arg-type]


def test_formats_are_split_at_commas() -> None:
    assert parse_names("--format", "png, webm,") == ("png", "webm")


def test_a_tile_is_auto_or_a_number() -> None:
    assert parse_tile("--tile", " Auto ") == PredictConfig().tile == "auto"
    assert parse_tile("--tile", "256") == 256
    with pytest.raises(UsageError, match="--tile is 'big'"):
        parse_tile("--tile", "big")


def test_epochs_are_limited_only_where_nothing_else_is() -> None:
    assert TrainConfig().epoch_limit == 60
    assert TrainConfig(max_time=60.0).epoch_limit is None
    assert TrainConfig(max_steps=5).epoch_limit is None
    assert TrainConfig(max_time=60.0, epochs=3).epoch_limit == 3


def test_thresholds() -> None:
    assert parse_numbers("--thresholds", "0.2, 0.5") == (0.2, 0.5)
    assert parse_numbers("--thresholds", "") == ()
    assert EvaluateConfig(thresholds=(0.5, 0.2, 0.5)).thresholds == (0.5, 0.2)
    with pytest.raises(UsageError, match="--thresholds"):
        parse_numbers("--thresholds", "high")


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        ({"thresholds": (float("nan"),)}, "--thresholds"),
        ({"frames": 0}, "--frames"),
        ({"stride": 0}, "--stride"),
        ({"batch_size": 0}, "--batch-size"),
        ({"precision": "fp8"}, "--precision"),
    ],
)
def test_what_is_no_evaluation_names_the_option(change: dict[str, object], flag: str) -> None:
    with pytest.raises(UsageError, match=flag):
        EvaluateConfig(**change)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "seconds", "written"),
    [
        ("40ms", 0.04, "0.04s"),
        ("1h30m", 5400, "90m"),
        ("1m 5ms", 60.005, "60.01s"),
        ("0.1", 0.1, "0.1s"),
        ("2d", 172800, "2d"),
        ("0.033333333", 1 / 30, "0.03333s"),
        ("123456.7", 123456.7, "123500s"),
    ],
)
def test_durations_are_read_and_written(text: str, seconds: float, written: str) -> None:
    assert parse_duration("--every", text) == pytest.approx(seconds)
    assert write_duration(seconds) == written
    assert parse_duration("--every", written) == pytest.approx(seconds, rel=1e-3)


@given(st.floats(1e-5, 1e7))
def test_a_written_duration_is_the_same_rate(seconds: float) -> None:
    assert parse_duration("--every", write_duration(seconds)) == pytest.approx(seconds, rel=0.01)
    once = write_duration(seconds)
    assert write_duration(parse_duration("--every", once)) == once
    assert DataConfig((), every=once).every == once


@pytest.mark.parametrize(
    ("config", "change", "words"),
    [
        (ForecasterConfig, {"hidden": 4}, "hidden is 4; give a tuple of whole numbers"),
        (ForecasterConfig, {"hidden": "44"}, "hidden is '44'; give a tuple of whole numbers"),
        (ForecasterConfig, {"hidden": (4.5,)}, "hidden is (4.5,)"),
        (ForecasterConfig, {"height": 64.0}, "height is 64.0; give a whole number"),
        (ForecasterConfig, {"horizon": "10"}, "horizon is '10'"),
        (ForecasterConfig, {"dropout": "much"}, "dropout is 'much'; give a number"),
        (ForecasterConfig, {"detach_peepholes": "no"}, "detach_peepholes is 'no'; give True or False"),
        (ForecasterConfig, {"peephole": None}, "peephole is None; give 'none' or 'channel' or 'full'"),
        (TrainConfig, {"epochs": "3"}, "epochs is '3'; give a whole number or None"),
        (TrainConfig, {"augment": "hflip"}, "augment is 'hflip'; give a tuple of texts"),
        (PredictConfig, {"frames": 2.5}, "frames is 2.5"),
        (PredictConfig, {"native_size": True, "tile": "none"}, "tile is 'none'; give a whole number or 'auto'"),
        (PredictConfig, {"channels": 1}, "channels is 1; give a tuple of whole numbers or texts or None"),
        (EvaluateConfig, {"thresholds": 1.5}, "thresholds is 1.5; give a tuple of numbers"),
        (WatchConfig, {"false_alarms": None}, "false_alarms is None"),
        (CompareConfig, {"seeds": 2.5}, "seeds is 2.5"),
        (ExportConfig, {"formats": "torch"}, "formats is 'torch'"),
        (DataConfig, {"folders": "videos"}, "folders is 'videos'"),
    ],
)
def test_a_value_of_another_type_names_the_field(config: Any, change: dict[str, object], words: str) -> None:
    needed: dict[Any, dict[str, object]] = {
        ForecasterConfig: {"height": 64, "width": 64, "channels": 1},
        DataConfig: {"folders": ("videos",)},
    }
    with pytest.raises(UsageError, match=rf"^{re.escape(words)}"):
        config(**{**needed.get(config, {}), **change})


def test_lists_and_numbers_of_numpy_become_what_the_fields_declare() -> None:
    config = ForecasterConfig(np.int64(64), 64, 1, hidden=[np.int32(4)], layer_norm=1)  # type: ignore[arg-type]
    assert config == ForecasterConfig(64, 64, 1, hidden=(4,), layer_norm=True)
    assert {type(config.height), type(config.hidden[0])} == {int}
    assert type(config.layer_norm) is bool
    assert DataConfig((Path("videos"),)).folders == DataConfig(("videos",)).folders  # type: ignore[arg-type]
