"""The cases that every peer computes, their random numbers, and the record of a result. Needs numpy only.

A case is one cell with its options, random weights, a sequence of ten steps, an initial state, and random
numbers `dy` and `dc` that make a loss of all outputs and the last cell state: sum(y * dy) + sum(c * dc). All
arrays are in the peer's own layout. They are rounded to float16, so that each precision starts from the same
numbers and the records are small.
"""

import json
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

BATCH, STEPS, IN, HIDDEN = 2, 10, 2, 3
STATE_SIZE = (2, 3)
PRECISIONS = ("float32", "float64")

# The entries of a Keras get_config() that affect the computation.
CELL_OPTIONS = ("activation", "recurrent_activation", "use_bias")
IMAGE_OPTIONS = (*CELL_OPTIONS, "padding", "strides", "dilation_rate", "data_format")


@dataclass(frozen=True)
class Case:
    name: str
    """The name of the case and of its record."""
    system: str
    """The system's name in the table."""
    interop: str
    """Suffix of the functions from_... and to_... of convlstm_cli/nn/interop."""
    peephole: str = "none"
    kernel: tuple[int, int] = (1, 1)
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options for the constructor of the peer's cell."""


KERAS3 = [
    Case("keras3-same", "Keras 3 ConvLSTM2D", "keras", kernel=(3, 3), options={"padding": "same"}),
    Case(
        "keras3-valid-hard-sigmoid",
        "Keras 3 ConvLSTM2D, valid, hard_sigmoid, no bias",
        "keras",
        kernel=(3, 5),
        options={"padding": "valid", "recurrent_activation": "hard_sigmoid", "use_bias": False},
    ),
    Case(
        "keras3-channels-first",
        "Keras 3 ConvLSTM2D, channels_first",
        "keras",
        kernel=(3, 3),
        options={"padding": "same", "data_format": "channels_first"},
    ),
]
TENSORFLOW2 = [
    Case(
        "keras2-same",
        "Keras 2 ConvLSTM2D (hard_sigmoid)",
        "keras",
        kernel=(3, 3),
        options={"padding": "same"},
    ),
    Case(
        "keras2-valid-sigmoid",
        "Keras 2 ConvLSTM2D, valid, sigmoid",
        "keras",
        kernel=(3, 5),
        options={"padding": "valid", "recurrent_activation": "sigmoid"},
    ),
    Case("addons-peephole", "tensorflow-addons PeepholeLSTMCell", "keras_peephole", "channel"),
    Case("tf1-peephole", "TensorFlow v1 LSTMCell", "tf1", "channel", options={"use_peepholes": True}),
    Case(
        "tf1-peephole-clip",
        "TensorFlow v1 LSTMCell, cell_clip, forget_bias 0.5",
        "tf1",
        "channel",
        options={"use_peepholes": True, "cell_clip": 0.3, "forget_bias": 0.5},
    ),
    Case("tf1", "TensorFlow v1 LSTMCell, no peepholes", "tf1"),
]
KERAS28 = [
    Case(
        "keras28-peephole",
        "tf.keras.experimental.PeepholeLSTMCell (hard_sigmoid)",
        "keras_peephole",
        "channel",
    )
]
NDRPLZ = [Case("ndrplz", "ndrplz ConvLSTM_pytorch, 2 layers (its equations)", "ndrplz", kernel=(3, 3))]
OPENSTL = [
    Case(
        "openstl",
        "OpenSTL ConvLSTM, 2 layers (its equations)",
        "openstl",
        kernel=(3, 3),
        options={"layer_norm": False},
    ),
    Case(
        "openstl-layer-norm",
        "OpenSTL ConvLSTM, 2 layers, layer_norm (its equations)",
        "openstl",
        kernel=(3, 3),
        options={"layer_norm": True},
    ),
]


def draw(case: Case, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, np.ndarray]:
    """Random float16 arrays of these shapes, the same in every process.

    Weights are wide enough for the gates to vary and for a hard sigmoid to reach both of its flat sides.
    """
    random = np.random.default_rng(zlib.crc32(case.name.encode()))
    return {
        name: (random.normal(size=shape) * (0.4 if name.startswith("weight/") else 1.0)).astype(np.float16)
        for name, shape in shapes.items()
    }


def image_shapes(case: Case) -> dict[str, tuple[int, ...]]:
    """Shapes for a ConvLSTM2D whose state has STATE_SIZE; (B, T, H, W, C) unless channels_first."""
    grow = [k - 1 if case.options["padding"] == "valid" else 0 for k in case.kernel]
    size = (STATE_SIZE[0] + grow[0], STATE_SIZE[1] + grow[1])

    def frame(channels: int, size: tuple[int, int]) -> tuple[int, ...]:
        return (channels, *size) if case.options.get("data_format") == "channels_first" else (*size, channels)

    state = frame(HIDDEN, STATE_SIZE)
    return {
        "x": (BATCH, STEPS, *frame(IN, size)),
        "h0": (BATCH, *state),
        "c0": (BATCH, *state),
        "dy": (BATCH, STEPS, *state),
        "dc": (BATCH, *state),
    }


def dense_shapes() -> dict[str, tuple[int, ...]]:
    """Shapes for a dense cell, which reads (B, in) at each step."""
    return {
        "x": (BATCH, STEPS, IN),
        "h0": (BATCH, HIDDEN),
        "c0": (BATCH, HIDDEN),
        "dy": (BATCH, STEPS, HIDDEN),
        "dc": (BATCH, HIDDEN),
    }


def record(
    folder: Path,
    case: Case,
    precision: str,
    version: str,
    drawn: Mapping[str, np.ndarray],
    computed: Mapping[str, np.ndarray],
    config: Mapping[str, Any],
) -> None:
    """Writes the drawn arrays, the peer's results, and `config`, which the interop function takes.

    `computed` has the outputs y, the last states h and c, and a `grad/NAME` for every drawn array except dy and dc.
    """
    missing = {
        "y",
        "h",
        "c",
        *(f"grad/{name}" for name in drawn if name not in ("dy", "dc")),
    } ^ computed.keys()
    assert not missing, missing
    about = json.dumps({**asdict(case), "precision": precision, "version": version, "config": dict(config)})
    arrays: dict[str, Any] = {"about": np.array(about), **drawn, **computed}
    np.savez_compressed(folder / f"{case.name}.{precision}.npz", **arrays)
