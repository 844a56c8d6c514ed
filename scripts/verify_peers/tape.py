"""Runs a TensorFlow cell over a whole sequence, forward and backward, and records the results."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from cases import Case, dense_shapes, draw, image_shapes, record

Forward = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple[tf.Tensor, tf.Tensor, tf.Tensor]]


class Peer(NamedTuple):
    """One real cell, ready to run."""

    forward: Forward
    """Maps x, h0 and c0 to the outputs y and the last h and c."""
    variables: dict[str, tf.Variable]
    config: dict[str, Any]
    """The configuration for the interop function."""
    version: str


def unroll(step: Callable[..., tuple[tf.Tensor, list[tf.Tensor]]]) -> Forward:
    """The forward pass over a whole sequence, from a cell's single step."""

    def forward(x: tf.Tensor, h: tf.Tensor, c: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        outputs = []
        for x_t in tf.unstack(x, axis=1):
            y, (h, c) = step(x_t, [h, c])
            outputs.append(y)
        return tf.stack(outputs, axis=1), h, c

    return forward


def run(
    case: Case,
    precision: str,
    folder: Path,
    make: Callable[[Case, str], Peer],
) -> None:
    forward, variables, config, version = make(case, precision)
    shapes = image_shapes(case) if case.interop == "keras" else dense_shapes()
    shapes |= {f"weight/{name}": tuple(variable.shape) for name, variable in variables.items()}
    drawn = draw(case, shapes)
    for name, variable in variables.items():
        variable.assign(drawn[f"weight/{name}"].astype(precision))

    inputs = {name: tf.constant(array.astype(precision)) for name, array in drawn.items()}
    leaves: dict[str, Any] = {name: inputs[name] for name in ("x", "h0", "c0")}
    leaves |= {f"weight/{name}": variable for name, variable in variables.items()}
    with tf.GradientTape() as tape:
        tape.watch([leaves[name] for name in ("x", "h0", "c0")])
        y, h, c = forward(inputs["x"], inputs["h0"], inputs["c0"])
        loss = tf.reduce_sum(y * inputs["dy"]) + tf.reduce_sum(c * inputs["dc"])
    gradients = tape.gradient(loss, leaves)

    computed = {"y": y, "h": h, "c": c} | {f"grad/{name}": gradient for name, gradient in gradients.items()}
    arrays = {name: np.asarray(value) for name, value in computed.items()}
    record(folder, case, precision, version, drawn, arrays, config)
