"""Keras 3's ConvLSTM2D on its backends, with the train step that is customary for each backend."""

import os
from typing import Any

import numpy as np

from speed.shapes import Layer, Shape
from speed.step import Step


class KerasSystem:
    """Keras in this process. The backend must be set before Keras is imported."""

    def __init__(self, backend: str, order: str) -> None:
        """`order` is Keras' data format: channels_last, its default, or channels_first."""
        import keras

        self._keras, self._backend, self._order = keras, backend, order
        self.about = {"keras": keras.__version__, backend: _version(backend)}

    def build(self, shape: Shape) -> dict[str, Step]:
        self._keras.utils.set_random_seed(0)
        model = self._model(shape)
        draw = np.random.default_rng(0)
        inputs = [draw.random(tensor.shape, dtype=np.float32) for tensor in model.inputs]
        for array in inputs[1:]:
            array[...] = 0.0  # the input of the forecaster's first layer
        return {"tensorflow": _tensorflow, "torch": _torch, "jax": _jax}[self._backend](model, inputs)

    def _model(self, shape: Shape) -> Any:
        x = self._keras.Input(batch_shape=self._array_shape(shape, shape.channels))
        inputs, states, below = [x], [], x
        for layer in shape.encoder:
            below, *state = self._layer(layer, shape)(below)
            states.append(state)
        if not shape.decoder:
            return self._keras.Model(inputs, below)
        below = self._keras.Input(batch_shape=self._array_shape(shape, 1))
        inputs.append(below)
        outputs = []
        for layer, state in zip(shape.decoder, states, strict=True):
            below, *_ = self._layer(layer, shape)(below, initial_state=state)
            outputs.append(below)
        axis = -1 if self._order == "channels_last" else 2
        return self._keras.Model(inputs, self._keras.layers.Concatenate(axis=axis)(outputs))

    def _layer(self, layer: Layer, shape: Shape) -> Any:
        return self._keras.layers.ConvLSTM2D(
            layer.hidden,
            shape.kernel,
            padding="same",
            return_sequences=True,
            return_state=True,
            data_format=self._order,
        )

    def _array_shape(self, shape: Shape, channels: int) -> tuple[int, ...]:
        image = (shape.size, shape.size)
        frame = (*image, channels) if self._order == "channels_last" else (channels, *image)
        return (shape.batch, shape.steps, *frame)


def make(request: dict[str, Any]) -> KerasSystem:
    """Keras on the request's backend."""
    backend = request["backend"]
    os.environ["KERAS_BACKEND"] = backend
    threads = request["threads"]
    if backend == "torch" and threads is not None:
        import torch

        torch.set_num_threads(threads)
    if backend == "tensorflow" and threads is not None:
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(threads)
        tf.config.threading.set_inter_op_parallelism_threads(threads)
    return KerasSystem(backend, request["order"])


def _version(backend: str) -> str:
    module = __import__(backend)
    return str(module.__version__)


def _tensorflow(model: Any, arrays: list[Any]) -> dict[str, Step]:
    import tensorflow as tf

    inputs = [tf.constant(array) for array in arrays]

    @tf.function  # type: ignore[untyped-decorator]
    def gradients() -> Any:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(tf.square(model(inputs, training=True)))
        # Returned, because TensorFlow does not compute results that nobody reads.
        return loss, tape.gradient(loss, model.trainable_variables)

    @tf.function  # type: ignore[untyped-decorator]
    def forward() -> Any:
        return model(inputs, training=False)

    return {"train": lambda: float(gradients()[0]), "infer": lambda: float(forward()[0, 0, 0, 0, 0])}


def _torch(model: Any, arrays: list[Any]) -> dict[str, Step]:
    import torch

    inputs = [torch.from_numpy(array) for array in arrays]

    def train() -> float:
        for variable in model.trainable_variables:
            variable.value.grad = None
        loss = model(inputs, training=True).square().mean()
        loss.backward()
        return float(loss)

    def infer() -> float:
        with torch.no_grad():
            return float(model(inputs, training=False)[0, 0, 0, 0, 0])

    return {"train": train, "infer": infer}


def _jax(model: Any, arrays: list[Any]) -> dict[str, Step]:
    import jax
    import jax.numpy as jnp

    inputs = [jnp.asarray(array) for array in arrays]
    trained = [variable.value for variable in model.trainable_variables]
    others = [variable.value for variable in model.non_trainable_variables]

    def loss_of(trained: Any, others: Any, inputs: Any) -> Any:
        outputs, _ = model.stateless_call(trained, others, inputs, training=True)
        return jnp.mean(jnp.square(outputs))

    gradients = jax.jit(jax.value_and_grad(loss_of))
    forward = jax.jit(lambda trained, others, inputs: model.stateless_call(trained, others, inputs)[0])

    def train() -> float:
        loss, _ = jax.block_until_ready(gradients(trained, others, inputs))
        return float(loss)

    def infer() -> float:
        return float(jax.block_until_ready(forward(trained, others, inputs))[0, 0, 0, 0, 0])

    return {"train": train, "infer": infer}
