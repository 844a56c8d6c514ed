"""A forecaster as one ONNX file: frames and a horizon in, forecast out, any batch and any horizon.

torch.onnx translates the programs of `nn/exportable.py`; around them go ONNX's own loops, a Scan over the frames that
are read and a Loop over the lead times, which need no number at export. Takes onnx and onnxscript
(`pip install convlstm[onnx]`); only `run_onnx` takes onnxruntime.
"""

import contextlib
import importlib.util
import itertools
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from convlstm_cli.errors import DependencyError
from convlstm_cli.nn import motion
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.exportable import Piece, record_together
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

    translated, counts = _translated(network)
    model = _with_loops(_pieces(translated.graph, counts), network.config)
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


def _translated(network: EncoderForecaster) -> tuple["onnx.ModelProto", dict[str, Piece]]:
    """The programs of a network in one graph, with nothing in common, and which they are."""
    from onnxscript import optimizer

    recorded, counts = record_together(network)
    with _quiet():
        program = torch.onnx.export(recorded, dynamo=True, opset_version=OPSET, optimize=False, verbose=False)
        assert program is not None
        # All of torch's optimisations take minutes, and whoever runs a model optimises it.
        optimizer.fold_constants(program.model)
        optimizer.remove_unused_nodes(program.model)
        return program.model_proto, counts


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


def _pieces(graph: "onnx.GraphProto", counts: dict[str, Piece]) -> dict[str, "onnx.GraphProto"]:
    """The graph of each program."""
    pieces = {}
    inputs, outputs = iter(graph.input), iter(graph.output)
    for name, count in counts.items():
        takes, gives = itertools.islice(inputs, count.inputs), itertools.islice(outputs, count.outputs)
        pieces[name] = _piece(graph, name, [_bare(value) for value in takes], [_bare(value) for value in gives])
    return pieces


def _piece(graph: "onnx.GraphProto", name: str, takes: list[Any], gives: list[Any]) -> "onnx.GraphProto":
    """The part of a graph that leads from some of its inputs to some of its outputs, all names prefixed.

    Types of values in between, and what was noted of where they come from, are left out.
    """
    from onnx import compose, helper

    needed = {value.name for value in gives}
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(helper.make_node(node.op_type, node.input, node.output, node.name, domain=node.domain))
            nodes[-1].attribute.extend(node.attribute)
    nodes.reverse()
    weights = [initializer for initializer in graph.initializer if initializer.name in needed]
    given = {value.name for value in takes}
    for value in gives:
        if value.name in given:  # goes through as it is, which ONNX Runtime's Scan gets wrong without a node
            nodes.append(helper.make_node("Identity", [value.name], [f"{value.name}_through"]))
            value.name = f"{value.name}_through"
    return compose.add_prefix_graph(helper.make_graph(nodes, name, takes, gives, weights), f"{name}/")


def _with_loops(pieces: dict[str, "onnx.GraphProto"], config: ForecasterConfig) -> "onnx.ModelProto":
    """The model: the pieces, and the loops around those that are repeated."""
    from onnx import TensorProto, helper

    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def inline(name: str, given: list[str]) -> list[str]:
        piece = pieces[name]
        names = {value.name: outer for value, outer in zip(piece.input, given, strict=True)}
        for node in piece.node:
            node.input[:] = [names.get(each, each) for each in node.input]
        nodes.extend(piece.node)
        weights.extend(piece.initializer)
        return [value.name for value in piece.output]

    begin = [FRAMES]
    if "pyramid" in pieces:
        *levels, flow = inline("pyramid", [FRAMES])
        weights.append(helper.make_tensor("iterations", TensorProto.INT64, [], [motion.ITERATIONS]))
        for index, level in enumerate(levels):
            if index:
                [flow] = inline(f"enlarge_{index}", [flow])
            body = _loop_body(pieces[f"improve_{index}"])
            improved = [f"flow_{index}", f"level_{index}"]
            nodes.append(helper.make_node("Loop", ["iterations", "", flow, level], improved, body=body))
            flow = improved[0]
        begin = [FRAMES, flow]
    state = inline("start", begin)
    read, step = pieces["read"], pieces["step"]
    read.input.append(read.input.pop(0))  # both loops have the frame behind the state
    step.output.append(step.output.pop(0))
    seen = [f"seen_{index}" for index in range(len(state))]
    last = [f"last_{index}" for index in range(len(state))]
    nodes.append(helper.make_node("Scan", [*state, FRAMES], seen, body=read, num_scan_inputs=1, scan_input_axes=[1]))
    nodes.append(helper.make_node("Loop", [HORIZON, "", *seen], [*last, "by_lead_time"], body=_loop_body(step)))
    nodes.append(helper.make_node("Transpose", ["by_lead_time"], [FORECAST], perm=[1, 0, 2, 3, 4]))

    size = config.channels, config.height, config.width
    takes = [
        helper.make_tensor_value_info(FRAMES, TensorProto.FLOAT, ["batch", config.input_frames, *size]),
        helper.make_tensor_value_info(HORIZON, TensorProto.INT64, []),
    ]
    gives = [helper.make_tensor_value_info(FORECAST, TensorProto.FLOAT, ["batch", HORIZON, *size])]
    graph = helper.make_graph(nodes, "forecaster", takes, gives, weights)
    opsets = [helper.make_opsetid("", OPSET)]
    # The lowest version, so that runtimes of some years ago read it too.
    version = helper.find_min_ir_version_for(opsets)
    return helper.make_model(graph, opset_imports=opsets, ir_version=version, producer_name="convlstm")


def _loop_body(piece: "onnx.GraphProto") -> "onnx.GraphProto":
    """A piece that also takes how often it ran and whether it goes on, and says that it is to."""
    from onnx import TensorProto, helper

    count = helper.make_tensor_value_info(f"{piece.name}/count", TensorProto.INT64, [])
    going = helper.make_tensor_value_info(f"{piece.name}/going", TensorProto.BOOL, [])
    goes_on = helper.make_tensor_value_info(f"{piece.name}/goes_on", TensorProto.BOOL, [])
    nodes = [*piece.node, helper.make_node("Identity", [going.name], [goes_on.name])]
    takes, gives = [count, going, *piece.input], [goes_on, *piece.output]
    return helper.make_graph(nodes, piece.name, takes, gives, piece.initializer)


def _bare(value: Any) -> "onnx.ValueInfoProto":
    """The type of an input or output, with its batch left open, since each piece calls it otherwise."""
    from onnx import helper

    tensor = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return helper.make_tensor_value_info(value.name, tensor.elem_type, sizes)
