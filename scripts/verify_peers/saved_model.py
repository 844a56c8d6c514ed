"""Two small models, nested and bidirectional, saved by Keras; the same code for Keras 2 and 3."""

from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np


def save(keras: ModuleType, folder: Path, name: str) -> None:
    """Writes NAME.keras and NAME.h5 with a nested model and NAME-both.keras with a bidirectional one.

    Beside each, NAME.npz and NAME-both.npz hold an input x and the model's output y.
    """
    nested, both = _nested(keras), _bidirectional(keras)
    _record(nested, folder / f"{name}.npz", (1, 4, 5, 6, 1))
    _record(both, folder / f"{name}-both.npz", (1, 4, 6, 1))
    nested.save(folder / f"{name}.keras")
    nested.save(folder / f"{name}.h5")
    both.save(folder / f"{name}-both.keras")


def _nested(keras: ModuleType) -> Any:
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
    return keras.Model(frames, inner(first))


def _bidirectional(keras: ModuleType) -> Any:
    """A ConvLSTM1D in both directions, whose outputs stand one after the other."""
    line = keras.layers.ConvLSTM1D(2, 3, padding="same", return_sequences=True, name="line")
    return keras.Sequential([keras.Input((None, 6, 1)), keras.layers.Bidirectional(line, name="both")])


def _record(model: Any, path: Path, shape: tuple[int, ...]) -> None:
    """Draws the model's weights and an input, and writes that input and what the model makes of it."""
    random = np.random.default_rng(0)
    model.set_weights([random.normal(size=weight.shape) * 0.4 for weight in model.get_weights()])
    x = random.normal(size=shape).astype(np.float32)
    np.savez_compressed(path, x=x, y=model.predict(x, verbose=0))
