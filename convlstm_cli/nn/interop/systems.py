"""The registry of the systems that have the cell: how they differ from the equations, and what converts their weights.

Imports no torch: `convlstm explain` shows this table.
"""

from dataclasses import dataclass

from convlstm_cli.registry import Registry


@dataclass(frozen=True)
class System:
    """A well-known implementation of the cell."""

    name: str
    peepholes: str
    gates: str
    """The order of the gates in its arrays, and their activation."""
    trap: str
    """What to mind when it is compared with the equations, or its weights are converted."""
    file: str = ""
    """The file of nn/interop that converts its weights, without .py; empty where none does."""
    functions: tuple[str, ...] = ()
    """The functions of that file, from its weights and to them."""


# scripts/verify-peers and tests/nn check all that have functions, and the paper's equations; the others were read in
# their repositories.
SYSTEMS = Registry(
    "system",
    (
        System(
            "Shi et al. 2015, eq. 3",
            "per channel, by its parameter counts; most read the ∘ as one per position (full)",
            "sigmoid",
            "Its five networks have 13,524,496 / 10,042,896 / 7,585,296 / 11,550,224 / 8,830,480 parameters: "
            "channel gives these counts, full does not.",
        ),
        System(
            "Keras 3 ConvLSTM1D, 2D and 3D",
            "none",
            "i, f, c, o; sigmoid",
            'Default padding is "valid". Its hard_sigmoid is x/6 + 0.5.',
            "keras",
            ("from_keras", "to_keras"),
        ),
        System(
            "Keras 2 ConvLSTM1D, 2D and 3D (tf.keras to TensorFlow 2.15)",
            "none",
            "i, f, c, o; hard_sigmoid",
            'Default padding is "valid". Its hard_sigmoid is 0.2x + 0.5, not that of Keras 3.',
            "keras",
            ("from_keras", "to_keras"),
        ),
        System(
            "tensorflow-addons PeepholeLSTMCell",
            "channel (dense)",
            "i, f, c, o; sigmoid",
            "Peepholes start glorot uniform, not zero.",
            "peephole_lstm",
            ("from_keras_peephole", "to_keras_peephole"),
        ),
        System(
            "tf.keras.experimental.PeepholeLSTMCell",
            "channel (dense)",
            "i, f, c, o; hard_sigmoid",
            "0.2x + 0.5 where tensorflow-addons has a sigmoid. Gone since Keras 2.9.",
            "peephole_lstm",
            ("from_keras_peephole", "to_keras_peephole"),
        ),
        System(
            "TensorFlow v1 LSTMCell(use_peepholes=True)",
            "channel (dense)",
            "i, j, f, o; sigmoid",
            "forget_bias (1.0) is added at run time and not stored. The state is (c, h).",
            "tensorflow1",
            ("from_tf1", "to_tf1"),
        ),
        System(
            "torch.nn.LSTM",
            "none (dense)",
            "i, f, g, o; sigmoid",
            "Has two biases, which are added.",
            "torch_lstm",
            ("from_torch_lstm", "to_torch_lstm"),
        ),
        System(
            "ndrplz/ConvLSTM_pytorch",
            "none",
            "i, f, o, g; sigmoid",
            "One convolution over x and h concatenated; g is the last block.",
            "ndrplz",
            ("from_ndrplz", "to_ndrplz"),
        ),
        System(
            "OpenSTL ConvLSTM",
            "none",
            "i, f, g, o; sigmoid",
            "No biases; its forget bias is set and never used, as are its convolutions conv_o and conv_last.",
            "openstl",
            ("from_openstl", "to_openstl"),
        ),
        System(
            "automan000/Convolutional_LSTM_PyTorch",
            "full, never trained",
            "separate convolutions; sigmoid",
            "nn.Parameter(zeros).cuda() is no parameter: the peepholes stay zero and are never saved.",
        ),
        System(
            "Hzzone/Precipitation-Nowcasting",
            "full, never trained on a GPU",
            "i, f, g, o; sigmoid",
            "nn.Parameter(zeros).to(device) is a parameter only where device is the CPU.",
        ),
        System(
            "jhhuang96/ConvLSTM-PyTorch",
            "none",
            "i, f, g, o; sigmoid",
            "Normalises all gates by group before the activations, which the equations do not.",
        ),
    ),
)
