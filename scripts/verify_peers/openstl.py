"""The equations of OpenSTL's ConvLSTM cell, independent of convlstm_cli. Usage: openstl.py FOLDER

Its package installs far more than its cells, so this file restates them: one convolution without bias over x and one
over h, each with a layer normalisation of its own where there is one, gates i, f, g, o, and the parameter names
cell_list.N.conv_x.0.weight, conv_x.1.weight and so on. Its convolutions conv_o and conv_last, which it never uses, are
left out.
"""

import sys
from pathlib import Path

import torch
from cases import BATCH, HIDDEN, IN, OPENSTL, PRECISIONS, STATE_SIZE, STEPS, Case, draw, record
from torch import Tensor, nn

HIDDENS = [HIDDEN, HIDDEN + 1]


class Cell(nn.Module):
    def __init__(self, in_channels: int, hidden: int, kernel: int, layer_norm: bool) -> None:
        super().__init__()

        def convolution(channels: int) -> nn.Sequential:
            layers: list[nn.Module] = [nn.Conv2d(channels, 4 * hidden, kernel, padding=kernel // 2, bias=False)]
            if layer_norm:
                layers.append(nn.LayerNorm([4 * hidden, *STATE_SIZE]))
            return nn.Sequential(*layers)

        self.conv_x, self.conv_h = convolution(in_channels), convolution(hidden)

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = (self.conv_x(x) + self.conv_h(h)).chunk(4, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Network(nn.Module):
    """The cells on each other, all of them at each step, as OpenSTL runs them."""

    def __init__(self, kernel: int, layer_norm: bool) -> None:
        super().__init__()
        cells = [
            Cell(below, hidden, kernel, layer_norm) for below, hidden in zip([IN, *HIDDENS], HIDDENS, strict=False)
        ]
        self.cell_list = nn.ModuleList(cells)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        states = [(x.new_zeros(x.shape[0], hidden, *STATE_SIZE),) * 2 for hidden in HIDDENS]
        outputs = []
        for y in x.unbind(1):
            for index, cell in enumerate(self.cell_list):
                states[index] = cell(y, *states[index])
                y = states[index][0]
            outputs.append(y)
        return torch.stack(outputs, dim=1), *states[-1]


def run(case: Case, precision: str, folder: Path) -> None:
    network = Network(case.kernel[0], case.options["layer_norm"]).to(getattr(torch, precision))
    state = (HIDDENS[-1], *STATE_SIZE)
    shapes = {"x": (BATCH, STEPS, IN, *STATE_SIZE), "dy": (BATCH, STEPS, *state), "dc": (BATCH, *state)}
    shapes |= {f"weight/{name}": tuple(value.shape) for name, value in network.state_dict().items()}
    drawn = draw(case, shapes)

    inputs = {name: torch.tensor(array.astype(precision)) for name, array in drawn.items()}
    network.load_state_dict({name: inputs[f"weight/{name}"] for name, _ in network.named_parameters()})
    leaves: dict[str, Tensor] = {f"weight/{name}": parameter for name, parameter in network.named_parameters()}
    leaves["x"] = inputs["x"].requires_grad_()
    y, h, c = network(inputs["x"])
    gradients = torch.autograd.grad((y * inputs["dy"]).sum() + (c * inputs["dc"]).sum(), list(leaves.values()))

    computed = {"y": y, "h": h, "c": c}
    computed |= {f"grad/{name}": gradient for name, gradient in zip(leaves, gradients, strict=True)}
    arrays = {name: value.detach().numpy() for name, value in computed.items()}
    record(folder, case, precision, f"torch {torch.__version__.split('+')[0]}", drawn, arrays, {})


if __name__ == "__main__":
    for case in OPENSTL:
        for precision in PRECISIONS:
            run(case, precision, Path(sys.argv[1]))
