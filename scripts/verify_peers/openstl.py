"""The equations of OpenSTL's ConvLSTM cell, independent of convlstm_cli. Usage: openstl.py FOLDER

Its package installs far more than its cells, so this file restates them: one convolution without bias over x and one
over h, each with a layer normalisation of its own where there is one, gates i, f, g, o, and the parameter names
cell_list.N.conv_x.0.weight, conv_x.1.weight and so on. Its convolutions conv_o and conv_last, which it never uses, are
left out.
"""

import sys
from pathlib import Path

import torch
from cases import IN, OPENSTL, PRECISIONS, STATE_SIZE
from torch import Tensor, nn
from torch_peer import HIDDENS, record_network


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


if __name__ == "__main__":
    for case in OPENSTL:
        for precision in PRECISIONS:
            network = Network(case.kernel[0], case.options["layer_norm"])
            record_network(network, case, precision, Path(sys.argv[1]))
