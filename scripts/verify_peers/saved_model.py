"""A small nested model, saved by Keras; the same code for Keras 2 and 3."""

from pathlib import Path
from types import ModuleType

import numpy as np


def save(keras: ModuleType, folder: Path, name: str) -> None:
    """Writes NAME.keras, and NAME.npz with an input x and the model's output y."""
    inner = keras.Sequential(
        [
            keras.Input((None, 5, 6, 3)),
            keras.layers.ConvLSTM2D(
                2,
                (3, 5),
                recurrent_activation="hard_sigmoid",
                use_bias=False,
                return_sequences=True,
                name="deep",
            ),
        ],
        name="inner",
    )
    frames = keras.Input((None, 5, 6, 1))
    first = keras.layers.ConvLSTM2D(3, 3, padding="same", return_sequences=True, name="first")(frames)
    model = keras.Model(frames, inner(first))

    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weight.shape) * 0.4 for weight in model.get_weights()])
    x = random.normal(size=(1, 4, 5, 6, 1)).astype(np.float32)
    np.savez_compressed(folder / f"{name}.npz", x=x, y=model.predict(x, verbose=0))
    model.save(folder / f"{name}.keras")
