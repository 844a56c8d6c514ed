"""`ForecasterConfig`: what it refuses, what follows from it, and that it costs no torch."""

import json
import subprocess
import sys
from dataclasses import FrozenInstanceError, asdict, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.config import ForecasterConfig, check_odd, parse_channels
from convlstm_cli.settings import check_choice

CONFIG = ForecasterConfig(64, 96, 3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"height": 62}, "--size has height 62, .*patches of 4 pixels .*; give 60 or 64"),
        ({"width": 0}, "--size has width 0"),
        ({"channels": 0}, "channels is 0"),
        ({"hidden": ()}, "--hidden is"),
        ({"hidden": (16, 0)}, "--hidden is"),
        ({"kernel_size": 4}, "--kernel-size is 4"),
        ({"recurrent_kernel_size": 2}, "--recurrent-kernel-size is 2"),
        ({"patch_size": 0}, "--patch-size is 0"),
        ({"dilation": 0}, "--dilation is 0"),
        ({"dilation": 2, "kernel_size": 1}, "--dilation is 2 .* --kernel-size 1"),
        ({"dropout": 1.0}, "--dropout is 1.0"),
        ({"dropout": 0.1, "hidden": (8,)}, "--dropout is 0.1 and acts between layers"),
        ({"peephole": "yes"}, "--peephole is 'yes'; choose one of none, channel, full"),
        ({"gate_activation": "hard_sigmoid"}, "--gate-activation is 'hard_sigmoid'"),
        ({"forecaster": "teacher"}, "--forecaster is 'teacher'"),
        ({"head": "linear"}, "--head is 'linear'"),
        ({"input_frames": 0}, "--input-frames is 0"),
        ({"horizon": 0}, "--frames is 0"),
    ],
)
def test_what_makes_no_network_is_refused_by_its_option(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(CONFIG, **change)


def test_it_does_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        CONFIG.height = 32  # type: ignore[misc]


def test_what_follows_from_it() -> None:
    config = ForecasterConfig(64, 96, 3, kernel_size=5, patch_size=4, input_frames=8, horizon=6)
    assert config.grid == (16, 24)
    assert config.patch_channels == 48
    assert config.clip_frames == 14
    assert config.recurrent_kernel == 5
    assert replace(config, recurrent_kernel_size=1).recurrent_kernel == 1


def test_layers_are_stacked() -> None:
    config = ForecasterConfig(64, 64, 1, hidden=(8, 4, 2), forecaster="unconditioned")
    widths = [
        (layer["role"], layer["index"], layer["in_channels"], layer["hidden_channels"]) for layer in config.layers()
    ]
    encoder = [("encoder", 0, 16, 8), ("encoder", 1, 8, 4), ("encoder", 2, 4, 2)]
    assert widths == [*encoder, ("forecaster", 0, 0, 8), ("forecaster", 1, 8, 4), ("forecaster", 2, 4, 2)]
    fed = (replace(config, forecaster="autoregressive"), replace(config, forecaster="advected"))
    assert all([layer["in_channels"] for layer in each.layers()] == [16, 8, 4, 16, 8, 4] for each in fed)


@given(
    patch=st.integers(1, 8),
    grid=st.tuples(st.integers(1, 32), st.integers(1, 32)),
    hidden=st.lists(st.integers(1, 256), min_size=1, max_size=4),
    peephole=st.sampled_from(["none", "channel", "full"]),
    recurrent=st.sampled_from([None, 1, 3]),
    dropout=st.sampled_from([0.0, 0.2]),
    layer_norm=st.booleans(),
)
def test_json_round_trip(
    patch: int,
    grid: tuple[int, int],
    hidden: list[int],
    peephole: Any,
    recurrent: int | None,
    dropout: float,
    layer_norm: bool,
) -> None:
    config = ForecasterConfig(
        grid[0] * patch,
        grid[1] * patch,
        1,
        hidden=tuple(hidden),
        patch_size=patch,
        peephole=peephole,
        recurrent_kernel_size=recurrent,
        dilation=2,
        dropout=dropout if len(hidden) > 1 else 0.0,
        layer_norm=layer_norm,
    )
    assert config.fixes_size == (layer_norm or peephole == "full")
    assert ForecasterConfig(**json.loads(json.dumps(asdict(config)))) == config
    assert config.grid == grid


def test_checks_and_parsers_name_the_option() -> None:
    assert parse_channels("--hidden", "64, 32") == (64, 32)
    with pytest.raises(UsageError, match="--hidden is 'many'"):
        parse_channels("--hidden", "many")
    with pytest.raises(UsageError, match="--side is 2"):
        check_odd("--side", 2)
    check_odd("--side", 3)
    with pytest.raises(UsageError, match="--colour is 'red'"):
        check_choice("--colour", "red", ("grey", "rgb"))


def test_it_costs_no_torch() -> None:
    code = "import sys, convlstm_cli.nn.config, convlstm_cli.reporting.explain; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
