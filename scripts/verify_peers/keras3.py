"""Keras 3 on torch: ConvLSTM2D forward and backward, and a saved model. Usage: keras3.py FOLDER"""

import os
import sys
from pathlib import Path

os.environ["KERAS_BACKEND"] = "torch"

import keras
import torch
from cases import HIDDEN, IMAGE_OPTIONS, KERAS3, PRECISIONS, Case, draw, image_shapes, record
from saved_model import save


def run(case: Case, precision: str, folder: Path) -> None:
    layer = keras.layers.ConvLSTM2D(
        HIDDEN, case.kernel, return_sequences=True, return_state=True, dtype=precision, **case.options
    )
    shapes = image_shapes(case)
    layer.build(shapes["x"])
    shapes |= {f"weight/{index}": tuple(weight.shape) for index, weight in enumerate(layer.weights)}
    drawn = draw(case, shapes)
    layer.set_weights([drawn[f"weight/{index}"] for index in range(len(layer.weights))])

    inputs = {name: torch.tensor(array.astype(precision)) for name, array in drawn.items()}
    leaves = {name: inputs[name].requires_grad_() for name in ("x", "h0", "c0")}
    leaves |= {f"weight/{index}": weight.value for index, weight in enumerate(layer.weights)}
    y, h, c = layer(inputs["x"], initial_state=[inputs["h0"], inputs["c0"]])
    loss = (y * inputs["dy"]).sum() + (c * inputs["dc"]).sum()
    gradients = torch.autograd.grad(loss, list(leaves.values()))

    computed = {"y": y, "h": h, "c": c}
    computed |= {f"grad/{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    arrays = {name: value.detach().numpy() for name, value in computed.items()}
    config = {option: layer.get_config()[option] for option in IMAGE_OPTIONS}
    record(folder, case, precision, keras.__version__, drawn, arrays, config)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for case in KERAS3:
        for precision in PRECISIONS:
            run(case, precision, folder)
    save(keras, folder, f"saved-keras-{keras.__version__}")
