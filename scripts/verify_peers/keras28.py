"""tf.keras.experimental.PeepholeLSTMCell, from the last Keras that has it, 2.8. Usage: keras28.py FOLDER"""

# ruff: noqa: E402  Keras is imported after the missing names are restored

import collections
import inspect
import sys
from pathlib import Path

from tensorflow.python.util import tf_export

# Keras 2.8 is older than Python 3.11 and TensorFlow 2.15, and needs one removed name of each: a tuple type, and an
# argument of a decorator that only registers names.
vars(inspect)["ArgSpec"] = collections.namedtuple("ArgSpec", "args varargs keywords defaults")
_export = tf_export.keras_export
tf_export.keras_export = lambda *names, metaclass=None, **options: _export(*names, **options)  # noqa: ARG005

import keras
from cases import CELL_OPTIONS, HIDDEN, IN, KERAS28, PRECISIONS, Case
from keras.layers.recurrent import PeepholeLSTMCell
from tape import Peer, run, unroll


def keras_peephole(case: Case, precision: str) -> Peer:
    cell = PeepholeLSTMCell(HIDDEN, dtype=precision, **case.options)
    cell.build((None, IN))
    config = {option: cell.get_config()[option] for option in CELL_OPTIONS}
    variables = {str(index): variable for index, variable in enumerate(cell.weights)}
    return Peer(unroll(cell), variables, config, keras.__version__)


if __name__ == "__main__":
    for case in KERAS28:
        for precision in PRECISIONS:
            run(case, precision, Path(sys.argv[1]), keras_peephole)
