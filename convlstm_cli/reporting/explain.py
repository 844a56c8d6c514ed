"""The equations of a forecaster, the shape of each weight, and which other systems compute the same.

Imports no torch: the shapes follow from the configuration, and a test compares them with those of the real network.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from convlstm_cli.nn.config import REFINED_WIDTH, ForecasterConfig
from convlstm_cli.nn.interop.systems import SYSTEMS, System
from convlstm_cli.nn.kinds import HEADS, MOTIONS


@dataclass(frozen=True)
class Equation:
    """One equation of the cell, and the name of what it computes."""

    formula: str
    meaning: str


@dataclass(frozen=True)
class Weight:
    """One trained tensor."""

    name: str
    """Its name in the network's state_dict."""
    symbols: str
    """Its names in the equations, in the order in which the gates are stacked along the first axis."""
    shape: tuple[int, ...]
    parameters: int


@dataclass(frozen=True)
class Layer:
    """One ConvLSTM of the network, or the head."""

    role: str
    """`encoder`, `forecaster` or `head`."""
    index: int
    in_channels: int
    """0 for a layer without input: its W_x terms are absent."""
    out_channels: int
    weights: tuple[Weight, ...]
    parameters: int
    peephole_parameters: int


@dataclass(frozen=True)
class Explanation:
    """What `convlstm explain` shows, and prints as JSON with `--json`."""

    peephole: str
    gate_order: str
    equations: tuple[Equation, ...]
    notes: tuple[str, ...]
    """What the signs in the equations mean, and what the network does before and after its cells."""
    layers: tuple[Layer, ...]
    parameters: int
    peephole_parameters: int
    systems: tuple[System, ...]


GATE_ORDER = "i, f, g, o"

SIGMAS = {
    "sigmoid": "σ(x) = 1 / (1 + exp(-x)), the sigmoid.",
    "hard_sigmoid_keras3": "σ(x) = min(max(x/6 + 0.5, 0), 1), the hard sigmoid of Keras 3 and PyTorch.",
    "hard_sigmoid_keras2": "σ(x) = min(max(0.2x + 0.5, 0), 1), the hard sigmoid of Keras 2.",
}

READS = {
    "advected": "the last input frame, moved on to the lead time along its motion (Lucas and Kanade 1981)",
    "unconditioned": "nothing, as in the paper",
    "autoregressive": "the frame that it forecast last",
}
MAKES = {
    "mix": "frame = Σ w_k known_k + w σ(new), where the weights w are a softmax with known frames: {known}",
    "refined": "frame = Σ w_k known_k + w σ(new), as a mix, with w and new from two 3x3 convolutions at full "
    "resolution that see the known frames too: {known}",
    "motions": "frame = Σ w_k known_k + w σ(new), as refined, with the first moved frame shifted by a learned "
    "displacement, and weights that also follow from how right each known frame would have been in the past: {known}",
    "residual": "frame = {first} + new",
    "sigmoid": "frame = σ(new), as in the paper",
}
"""What the first forecaster layer reads and what the head makes; see nn/forecaster.py and nn/head.py."""


def explain(config: ForecasterConfig) -> Explanation:
    """The explanation of the network `EncoderForecaster(config)`."""
    layers = (*_layers(config), _head(config))
    return Explanation(
        peephole=config.peephole,
        gate_order=GATE_ORDER,
        equations=_equations(config),
        notes=_notes(config),
        layers=layers,
        parameters=sum(layer.parameters for layer in layers),
        peephole_parameters=sum(layer.peephole_parameters for layer in layers),
        systems=tuple(SYSTEMS.values()),
    )


def render(explanation: Explanation) -> list[RenderableType]:
    """The explanation as text and tables for a terminal."""
    equations = Text()
    formula_width = max(len(equation.formula) for equation in explanation.equations)
    for equation in explanation.equations:
        equations.append(equation.formula.ljust(formula_width), style="bold").append(f"  {equation.meaning}\n")
    for note in explanation.notes:
        equations.append(f"\n{note}")
    equations.append("\n")

    weights = Table(title=f"Weights; the gates are stacked {explanation.gate_order}", title_justify="left")
    for column in ("parameter", "in the equations", "shape", "count"):
        weights.add_column(column, justify="right" if column == "count" else "left", overflow="fold")
    for layer in explanation.layers:
        for weight in layer.weights:
            shape = " x ".join(map(str, weight.shape))
            weights.add_row(weight.name, weight.symbols, shape, f"{weight.parameters:,}")
        weights.add_section()

    share = explanation.peephole_parameters / explanation.parameters
    total = Text(
        f"{explanation.parameters:,} parameters, of which {explanation.peephole_parameters:,} "
        f"({share:.2%}) are peepholes ({explanation.peephole}).\n"
    )

    systems = Table(title="Other systems", title_justify="left")
    for column in ("system", "peepholes", "gates", "mind"):
        systems.add_column(column, overflow="fold")
    for system in explanation.systems:
        systems.add_row(*map(Text, (system.name, system.peepholes, system.gates, system.trap)))
    functions = dict.fromkeys(name for system in explanation.systems for name in system.functions)
    where = Text(
        "The equations as code: convlstm_cli/nn/cell.py. Weights of other systems: convlstm_cli.nn.interop with "
        f"{', '.join(functions)}."
    )
    return [equations, weights, total, systems, where]


def _equations(config: ForecasterConfig) -> tuple[Equation, ...]:
    """The equations of `nn/cell.py` with the options in force; without peepholes their terms are left out."""
    peepholes = config.peephole != "none"
    i, f, o = (" + W_ci ∘ c_{t-1}", " + W_cf ∘ c_{t-1}", " + W_co ∘ c_t") if peepholes else ("", "", "")
    star = "*" if config.dilation == 1 else f"*_{config.dilation}"
    x = "(m ∘ x_t)" if config.dropout else "x_t"

    def read(gate: str) -> str:
        """What a gate gets from the input and from the hidden state."""
        parts = f"W_x{gate} {star} {x}", f"W_h{gate} * h_{{t-1}}"
        return " + ".join(f"LN({part})" if config.layer_norm else part for part in parts)

    return (
        Equation(f"i_t = σ({read('i')}{i} + b_i)", "input gate"),
        Equation(f"f_t = σ({read('f')}{f} + b_f)", "forget gate"),
        Equation(f"g_t = tanh({read('g')} + b_g)", "candidate"),
        Equation("c_t = f_t ∘ c_{t-1} + i_t ∘ g_t", "cell state"),
        Equation(f"o_t = σ({read('o')}{o} + b_o)", "output gate"),
        Equation("h_t = o_t ∘ tanh(c_t)", "hidden state"),
    )


def _notes(config: ForecasterConfig) -> tuple[str, ...]:
    notes = [
        "* is a convolution that keeps the image size, ∘ a product position by position.",
        SIGMAS[config.gate_activation],
        *_option_notes(config),
    ]
    if config.peephole == "none":
        notes.append("There are no peepholes: the gates do not depend on the cell state.")
    else:
        per = "channel" if config.peephole == "channel" else "channel and position"
        start = "at 0" if config.peephole_init == "zeros" else "uniformly, at most √(3 / hidden channels) from 0"
        notes.append(f"W_ci, W_cf and W_co are the peepholes, one weight per {per}; training starts them {start}.")
        if config.detach_peepholes:
            notes.append("Gers' rule: the gates send no gradient through the peepholes into the cell state.")
    notes.append(f"The forecaster's first layer reads {READS[config.forecaster]}.")
    last = "the frame forecast last" if config.forecaster == "autoregressive" else "the last input frame"
    notes += [f"The {motion} motion is {MOTIONS[motion].text}." for motion in config.motions]
    if config.motions and HEADS[config.head].splats:
        notes.append(
            "Moved on, each place shows what its motion brings there; splatted, each pixel goes on with its own."
        )
    words = {"blurred": "the first one blurred", "last": last}
    words |= {f"moved {motion}": f"the frame moved on along the {motion} motion" for motion in config.motions}
    words |= {f"splatted {motion}": f"the frame splatted along the {motion} motion" for motion in config.motions}
    known = [words[name] for name in config.known_frames]
    notes.append(f"The head: {MAKES[config.head].format(known=', '.join(known), first=known[0])}.")
    return tuple(notes)


def _option_notes(config: ForecasterConfig) -> Iterator[str]:
    """What dilation, layer normalisation and dropout mean, where they are in force."""
    if config.dilation > 1:
        side = config.dilation * (config.kernel_size - 1) + 1
        yield (
            f"*_{config.dilation} is such a convolution whose kernel reads positions {config.dilation} apart "
            f"(dilation): its {config.kernel_size}x{config.kernel_size} weights span {side}x{side}."
        )
    if config.layer_norm:
        yield (
            "LN is layer normalisation over the four gates, all channels and all positions together, with a scale and "
            "a shift for each (Ba et al. 2016)."
        )
    if config.dropout:
        yield (
            f"m drops channels at a rate of {config.dropout:g} and divides the others by {1 - config.dropout:g}, in "
            "training only, the same for all steps of a clip; it is 1 where x_t is a frame."
        )


def _layers(config: ForecasterConfig) -> list[Layer]:
    kernel, recurrent = config.kernel_size, config.recurrent_kernel
    peephole_size = config.grid if config.peephole == "full" else (1, 1)
    layers = []
    for layer in config.layers():
        role, index = layer["role"], layer["index"]
        in_channels, hidden = layer["in_channels"], layer["hidden_channels"]
        at = f"{role}.{index}"
        weights = [
            _weight(f"{at}.weight_hh", "W_h", (4 * hidden, hidden, recurrent, recurrent)),
            _weight(f"{at}.bias", "b_", (4 * hidden,)),
        ]
        if in_channels:
            weights.insert(0, _weight(f"{at}.weight_ih", "W_x", (4 * hidden, in_channels, kernel, kernel)))
        for norm in ("norm_ih", "norm_hh") if config.layer_norm else ():
            if norm == "norm_hh" or in_channels:
                shape = (4 * hidden, *config.grid)
                weights.append(_weight(f"{at}.{norm}.weight", "scale of LN", shape, gates=""))
                weights.append(_weight(f"{at}.{norm}.bias", "shift of LN", shape, gates=""))
        peepholes = []
        if config.peephole != "none":
            size = (hidden, *peephole_size)
            peepholes = [_weight(f"{at}.peephole_{gate}", "W_c", size, gate) for gate in "ifo"]
        layers.append(_layer(role, index, in_channels, hidden, weights, peepholes))
    return layers


def _head(config: ForecasterConfig) -> Layer:
    """The 1x1 convolution over the forecaster's hidden states, from which the head makes the frames."""
    states, channels = sum(config.hidden), config.head_channels
    weights = [
        _weight("head.conv.weight", "1x1 convolution", (channels, states, 1, 1), gates=""),
        _weight("head.conv.bias", "its bias", (channels,), gates=""),
    ]
    if HEADS[config.head].refines:
        known = len(config.known_frames)
        seen = channels // config.patch_size**2 + known * config.channels + config.past_channels
        said = config.channels + known
        said += 2 * HEADS[config.head].steers
        weights += [
            _weight("head.refinement.see.weight", "3x3 convolution", (REFINED_WIDTH, seen, 3, 3), gates=""),
            _weight("head.refinement.see.bias", "its bias", (REFINED_WIDTH,), gates=""),
            _weight("head.refinement.say.weight", "3x3 convolution", (said, REFINED_WIDTH, 3, 3), gates=""),
            _weight("head.refinement.say.bias", "its bias", (said,), gates=""),
        ]
        if config.past_channels:
            shape = (known, config.past_channels, 1, 1)
            weights.append(_weight("head.refinement.judge.weight", "of errors in the past", shape, gates=""))
    return _layer("head", 0, states, channels, weights, [])


def _weight(name: str, symbol: str, shape: tuple[int, ...], gates: str = "ifgo") -> Weight:
    return Weight(name, ", ".join(symbol + gate for gate in gates) or symbol, shape, math.prod(shape))


def _layer(
    role: str, index: int, in_channels: int, out_channels: int, weights: list[Weight], peepholes: list[Weight]
) -> Layer:
    peephole_parameters = sum(weight.parameters for weight in peepholes)
    return Layer(
        role,
        index,
        in_channels,
        out_channels,
        weights=(*weights, *peepholes),
        parameters=sum(weight.parameters for weight in weights) + peephole_parameters,
        peephole_parameters=peephole_parameters,
    )
