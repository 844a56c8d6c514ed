"""A forecaster as one ONNX file: frames and a horizon in, forecast out, any batch and any horizon.

torch.onnx translates the three programs of `nn/exportable.py`; around them go ONNX's own loops, a Scan over the frames
that are read and a Loop over the lead times, which need no number at export. Takes onnx and onnxscript
(`pip install convlstm[onnx]`); only `run_onnx` takes onnxruntime.
"""

import contextlib
import importlib.util
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from convlstm_cli.errors import DependencyError
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.exportable import record_together
from convlstm_cli.nn.forecaster import EncoderForecaster

if TYPE_CHECKING:
    import onnx

OPSET = 18
"""What torch.onnx writes by itself, with no conversion; GridSample came with 16."""
EXTERNAL = 1 << 30
"""Bytes of weights from which on they go into a file beside: a file of protobuf can hold 2 GiB."""
FRAMES, HORIZON, FORECAST = "frames", "horizon", "forecast"
"""Names of the inputs and the output."""


def check_installed() -> None:
    """Raises DependencyError where onnx or onnxscript is missing."""
    for package in ("onnx", "onnxscript"):
        if importlib.util.find_spec(package) is None:
            raise DependencyError(
                f"--format onnx takes {package}; install it with pip install 'convlstm[onnx]', or give --format torch."
            )


def has_runtime() -> bool:
    """Whether ONNX files can be run here."""
    return importlib.util.find_spec("onnxruntime") is not None


def write_onnx(network: EncoderForecaster, path: Path) -> list[Path]:
    """Writes a network in evaluation mode, on the CPU. Returns the files: `path` and, for large weights, one beside.

    Raises DependencyError where onnx or onnxscript is missing.
    """
    check_installed()
    import onnx

    model = _with_loops(_translated(network), network.config, len(network.state_names))
    external = 4 * sum(parameter.numel() for parameter in network.parameters()) >= EXTERNAL
    weights = path.with_name(f"{path.name}.data")
    onnx.save_model(model, path, save_as_external_data=external, location=weights.name)
    onnx.checker.check_model(path)
    return [path, weights] if external else [path]


def run_onnx(path: Path, frames: Tensor, horizon: int) -> Tensor:
    """The forecast of frames (B, T, C, H, W) by ONNX Runtime on the CPU, which has to be installed."""
    import numpy as np
    import onnxruntime

    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    [forecast] = session.run(None, {FRAMES: frames.numpy(), HORIZON: np.array(horizon, np.int64)})
    return torch.from_numpy(forecast)


def _translated(network: EncoderForecaster) -> "onnx.ModelProto":
    """The three programs in one graph, with nothing in common."""
    from onnxscript import optimizer

    recorded = record_together(network)
    with _quiet():
        program = torch.onnx.export(recorded, dynamo=True, opset_version=OPSET, optimize=False, verbose=False)
        assert program is not None
        # All of torch's optimisations take minutes, and whoever runs a model optimises it.
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
        return program.model_proto


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Context without what torch.onnx has to say: of libraries that are not needed, and of what it has deprecated."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _with_loops(pieces: "onnx.ModelProto", config: ForecasterConfig, states: int) -> "onnx.ModelProto":
    """The model, of the graph that `Together` became; a state has so many tensors."""
    from onnx import TensorProto, helper

    graph = pieces.graph
    inputs, outputs = list(graph.input), list(graph.output)
    start = _piece(graph, "start", inputs[:1], outputs[:states])
    read = _piece(graph, "read", [*inputs[2 : 2 + states], inputs[1]], outputs[states : 2 * states])
    frame, *after = outputs[2 * states :]
    step = _piece(graph, "step", inputs[2 + states :], [*after, frame])

    # A Loop's body also takes how often it ran and whether it goes on, and says whether it is to.
    count = helper.make_tensor_value_info("step/count", TensorProto.INT64, [])
    going = helper.make_tensor_value_info("step/going", TensorProto.BOOL, [])
    goes_on = helper.make_tensor_value_info("step/goes_on", TensorProto.BOOL, [])
    step.node.append(helper.make_node("Identity", [going.name], [goes_on.name]))
    into, out_of = [count, going, *step.input], [goes_on, *step.output]
    del step.input[:], step.output[:]
    step.input.extend(into)
    step.output.extend(out_of)

    begun = [value.name for value in start.output]
    seen = [f"read/{index}" for index in range(states)]
    last = [f"last/{index}" for index in range(states)]
    nodes = [
        *start.node,
        helper.make_node("Scan", [*begun, FRAMES], seen, body=read, num_scan_inputs=1, scan_input_axes=[1]),
        helper.make_node("Loop", [HORIZON, "", *seen], [*last, "by_lead_time"], body=step),
        helper.make_node("Transpose", ["by_lead_time"], [FORECAST], perm=[1, 0, 2, 3, 4]),
    ]
    size = config.channels, config.height, config.width
    takes = [
        helper.make_tensor_value_info(FRAMES, TensorProto.FLOAT, ["batch", config.input_frames, *size]),
        helper.make_tensor_value_info(HORIZON, TensorProto.INT64, []),
    ]
    gives = [helper.make_tensor_value_info(FORECAST, TensorProto.FLOAT, ["batch", HORIZON, *size])]
    whole = helper.make_graph(nodes, "forecaster", takes, gives, initializer=start.initializer)
    opsets = [helper.make_opsetid("", OPSET)]
    # The lowest version, so that runtimes of some years ago read it too.
    version = helper.find_min_ir_version_for(opsets)
    return helper.make_model(whole, opset_imports=opsets, ir_version=version, producer_name="convlstm")


def _piece(graph: "onnx.GraphProto", name: str, inputs: list[Any], outputs: list[Any]) -> "onnx.GraphProto":
    """The part of a graph that leads from some of its inputs to some of its outputs, names prefixed but for `frames`.

    Types of values in between, and what was noted of where they come from, are left out.
    """
    from onnx import compose, helper

    needed = {value.name for value in outputs}
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(helper.make_node(node.op_type, node.input, node.output, node.name, domain=node.domain))
            nodes[-1].attribute.extend(node.attribute)
    weights = [initializer for initializer in graph.initializer if initializer.name in needed]
    nodes.reverse()
    takes, gives = [_bare(value) for value in inputs], [_bare(value) for value in outputs]
    given = {value.name for value in takes}
    for value in gives:
        if value.name in given:  # goes through as it is, which ONNX Runtime's Scan gets wrong without a node
            nodes.append(helper.make_node("Identity", [value.name], [f"{value.name}_through"]))
            value.name = f"{value.name}_through"
    piece = helper.make_graph(nodes, name, takes, gives, weights)
    piece = compose.add_prefix_graph(piece, f"{name}/")
    if name == "start":
        for node in piece.node:
            node.input[:] = [FRAMES if each == piece.input[0].name else each for each in node.input]
    return piece


def _bare(value: Any) -> "onnx.ValueInfoProto":
    """The type of an input or output, with its batch left open, since each piece calls it otherwise."""
    from onnx import helper

    tensor = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return helper.make_tensor_value_info(value.name, tensor.elem_type, sizes)
