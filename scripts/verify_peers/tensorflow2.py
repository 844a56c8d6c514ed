"""TensorFlow 2.15: Keras 2 ConvLSTM2D, addons PeepholeLSTMCell, v1 LSTMCell. Usage: tensorflow2.py FOLDER"""

import sys
from pathlib import Path

import keras
import tensorflow as tf
import tensorflow_addons as tfa
from cases import CELL_OPTIONS, HIDDEN, IMAGE_OPTIONS, IN, PRECISIONS, TENSORFLOW2, Case, image_shapes
from saved_model import save
from tape import Peer, run, unroll


def conv_lstm_2d(case: Case, precision: str) -> Peer:
    layer = tf.keras.layers.ConvLSTM2D(
        HIDDEN, case.kernel, return_sequences=True, return_state=True, dtype=precision, **case.options
    )
    layer.build(image_shapes(case)["x"])
    config = {option: layer.get_config()[option] for option in IMAGE_OPTIONS}
    variables = {str(index): variable for index, variable in enumerate(layer.weights)}
    return Peer(lambda x, h, c: layer(x, initial_state=[h, c]), variables, config, keras.__version__)


def addons_peephole(case: Case, precision: str) -> Peer:
    cell = tfa.rnn.PeepholeLSTMCell(HIDDEN, dtype=precision, **case.options)
    cell.build((None, IN))
    config = {option: cell.get_config()[option] for option in CELL_OPTIONS}
    variables = {str(index): variable for index, variable in enumerate(cell.weights)}
    return Peer(unroll(cell), variables, config, tfa.__version__)


def v1_lstm(case: Case, precision: str) -> Peer:
    cell = tf.compat.v1.nn.rnn_cell.LSTMCell(HIDDEN, dtype=precision, **case.options)
    cell.build((None, IN))
    variables = {variable.name.removesuffix(":0").split("/")[-1]: variable for variable in cell.weights}
    config = {option: value for option, value in case.options.items() if option != "use_peepholes"}

    def step(x: tf.Tensor, states: list[tf.Tensor]) -> tuple[tf.Tensor, list[tf.Tensor]]:
        h, c = states
        y, (c, h) = cell(x, (c, h))
        return y, [h, c]

    return Peer(unroll(step), variables, config, tf.__version__)


MAKERS = {"keras": conv_lstm_2d, "keras_peephole": addons_peephole, "tf1": v1_lstm}

if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for case in TENSORFLOW2:
        for precision in PRECISIONS:
            run(case, precision, folder, MAKERS[case.interop])
    save(tf.keras, folder, f"saved-keras-{keras.__version__}")
