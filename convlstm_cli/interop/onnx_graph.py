"""Puts the translated programs of a forecaster together: one ONNX graph with ONNX's own loops.

A Scan goes over the input frames and a Loop over the lead times, neither of which needs a number at export. Takes onnx,
so this module is imported only where that is installed.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import onnx
from onnx import TensorProto, compose, helper

from convlstm_cli.interop.program import FORECAST, FRAMES, HORIZON
from convlstm_cli.nn import motion
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.exportable import Piece, SearchGroup, searched


def assemble(
    graph: onnx.GraphProto, counts: Mapping[str, Piece], config: ForecasterConfig, opset: int
) -> onnx.ModelProto:
    """The model of a forecaster.

    Args:
        graph: the programs of `exportable.record_together`, side by side.
        counts: how many inputs and outputs each program has, in their order.
        config: the network.
        opset: version of the operators.
    """
    size = config.height, config.width
    assembly = _Assembly(_pieces(graph, counts), size)
    assembly.run(searched(config))
    read, said = (config.read_channels, *size), (config.channels, *size)
    inputs = [
        helper.make_tensor_value_info(FRAMES, TensorProto.FLOAT, ["batch", config.input_frames, *read]),
        helper.make_tensor_value_info(HORIZON, TensorProto.INT64, []),
    ]
    outputs = [helper.make_tensor_value_info(FORECAST, TensorProto.FLOAT, ["batch", HORIZON, *said])]
    whole = helper.make_graph(assembly.nodes, "forecaster", inputs, outputs, assembly.weights)
    opsets = [helper.make_opsetid("", opset)]
    # The lowest version, so that runtimes of some years ago read it too.
    version = helper.find_min_ir_version_for(opsets)
    return helper.make_model(whole, opset_imports=opsets, ir_version=version, producer_name="convlstm")


class _Assembly:
    """Collects the nodes and weights of the whole graph, in the order in which they are computed."""

    def __init__(self, pieces: Mapping[str, onnx.GraphProto], size: tuple[int, int]) -> None:
        self.pieces, self.size = pieces, size
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def run(self, groups: Sequence[SearchGroup]) -> None:
        """Appends all pieces, and the loops around those that are repeated."""
        state = self._inline("start", [FRAMES, *map(self._motion, groups)])
        read, step = self.pieces["read"], self.pieces["step"]
        read.input.append(read.input.pop(0))  # both loops have the frame behind the state
        step.output.append(step.output.pop(0))
        seen = [f"seen_{index}" for index in range(len(state))]
        last = [f"last_{index}" for index in range(len(state))]
        self._append("Scan", [*state, FRAMES], seen, body=read, num_scan_inputs=1, scan_input_axes=[1])
        self._append("Loop", [HORIZON, "", *seen], [*last, "by_lead_time"], body=_loop_body(step))
        self._append("Transpose", ["by_lead_time"], [FORECAST], perm=[1, 0, 2, 3, 4])

    def _motion(self, group: SearchGroup) -> str:
        """Appends the search for a motion, level by level, and returns the name of its value."""
        name, steps = group.name, motion.SEARCHES[group.search].iterations
        *levels, flow = self._inline(f"{name}_pyramid", [FRAMES])
        iterations = f"{name}_iterations"
        self.weights.append(helper.make_tensor(iterations, TensorProto.INT64, [], [steps]))
        for index, level in enumerate(levels):
            if index:
                [flow] = self._inline(f"{name}_enlarge_{index}", [flow])
            improved = [f"{name}_flow_{index}", f"{name}_level_{index}"]
            body = _loop_body(self.pieces[f"{name}_improve_{index}"])
            self._append("Loop", [iterations, "", flow, level], improved, body=body)
            flow = improved[0]
        shape, found = f"{name}_shape", f"{name}_motions"
        sizes = [len(group.lookbacks), -1, 2, *self.size]  # lookbacks before the batch, as `start` takes them
        self.weights.append(helper.make_tensor(shape, TensorProto.INT64, [len(sizes)], sizes))
        self._append("Reshape", [flow, shape], [found])
        return found

    def _inline(self, name: str, given: list[str]) -> list[str]:
        """Appends the nodes of a piece, with its inputs named as given, and returns the names of its outputs."""
        piece = self.pieces[name]
        names = {value.name: outer for value, outer in zip(piece.input, given, strict=True)}
        for node in piece.node:
            node.input[:] = [names.get(each, each) for each in node.input]
        self.nodes.extend(piece.node)
        self.weights.extend(piece.initializer)
        return [value.name for value in piece.output]

    def _append(self, kind: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        self.nodes.append(helper.make_node(kind, inputs, outputs, **attributes))


def _pieces(graph: onnx.GraphProto, counts: Mapping[str, Piece]) -> dict[str, onnx.GraphProto]:
    """The graph of each program."""
    pieces = {}
    inputs, outputs = iter(graph.input), iter(graph.output)
    for name, count in counts.items():
        pieces[name] = _piece(graph, name, _next(inputs, count.inputs), _next(outputs, count.outputs))
    return pieces


def _next(values: Iterator[onnx.ValueInfoProto], count: int) -> list[onnx.ValueInfoProto]:
    """The next inputs or outputs, each with its batch left open, since the pieces name their batches differently."""
    return [_without_batch(value) for value in itertools.islice(values, count)]


def _piece(
    graph: onnx.GraphProto, name: str, inputs: list[onnx.ValueInfoProto], outputs: list[onnx.ValueInfoProto]
) -> onnx.GraphProto:
    """The part of a graph between some of its inputs and some of its outputs, with a prefix before all names.

    Types of the values in between, and notes on where they come from, are left out.
    """
    needed = {value.name for value in outputs}
    nodes = []
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
            nodes.append(helper.make_node(node.op_type, node.input, node.output, node.name, domain=node.domain))
            nodes[-1].attribute.extend(node.attribute)
    nodes.reverse()
    weights = [initializer for initializer in graph.initializer if initializer.name in needed]
    given = {value.name for value in inputs}
    for value in outputs:
        if value.name in given:  # an input that is an output: ONNX Runtime's Scan gets it wrong without a node
            nodes.append(helper.make_node("Identity", [value.name], [f"{value.name}_through"]))
            value.name = f"{value.name}_through"
    return compose.add_prefix_graph(helper.make_graph(nodes, name, inputs, outputs, weights), f"{name}/")


def _loop_body(piece: onnx.GraphProto) -> onnx.GraphProto:
    """A piece with the further inputs and output of a Loop's body: the count, and whether the loop goes on."""
    count = helper.make_tensor_value_info(f"{piece.name}/count", TensorProto.INT64, [])
    going = helper.make_tensor_value_info(f"{piece.name}/going", TensorProto.BOOL, [])
    goes_on = helper.make_tensor_value_info(f"{piece.name}/goes_on", TensorProto.BOOL, [])
    nodes = [*piece.node, helper.make_node("Identity", [going.name], [goes_on.name])]
    inputs, outputs = [count, going, *piece.input], [goes_on, *piece.output]
    return helper.make_graph(nodes, piece.name, inputs, outputs, piece.initializer)


def _without_batch(value: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    """The type of an input or output without the name of its batch."""
    tensor = value.type.tensor_type
    sizes = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    return helper.make_tensor_value_info(value.name, tensor.elem_type, sizes)
