"""The equations of ndrplz/ConvLSTM_pytorch, independent of convlstm_cli. Usage: ndrplz.py FOLDER

Its repository has no release to install, so this file restates its cell: one convolution over x and h
concatenated, gates i, f, o, g, zero initial state, and the parameter names cell_list.N.conv.weight and .bias.
"""

import sys
from pathlib import Path

import torch
from cases import IN, NDRPLZ, PRECISIONS
from torch import Tensor, nn
from torch_peer import HIDDENS, record_network


class Cell(nn.Module):
    def __init__(self, in_channels: int, hidden: int, kernel: tuple[int, int]) -> None:
        super().__init__()
        self.hidden = hidden
        self.conv = nn.Conv2d(in_channels + hidden, 4 * hidden, kernel, padding="same")

    def forward(self, x: Tensor, h: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
        i, f, o, g = self.conv(torch.cat((x, h), dim=1)).split(self.hidden, dim=1)
        c = f.sigmoid() * c + i.sigmoid() * g.tanh()
        return o.sigmoid() * c.tanh(), c


class Network(nn.Module):
    def __init__(self, kernel: tuple[int, int]) -> None:
        super().__init__()
        cells = [Cell(below, hidden, kernel) for below, hidden in zip([IN, *HIDDENS], HIDDENS, strict=False)]
        self.cell_list = nn.ModuleList(cells)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        for cell, hidden in zip(self.cell_list, HIDDENS, strict=True):
            h = c = x.new_zeros(x.shape[0], hidden, *x.shape[-2:])
            outputs = []
            for t in range(x.shape[1]):
                h, c = cell(x[:, t], h, c)
                outputs.append(h)
            x = torch.stack(outputs, dim=1)
        return x, h, c


if __name__ == "__main__":
    for case in NDRPLZ:
        for precision in PRECISIONS:
            record_network(Network(case.kernel), case, precision, Path(sys.argv[1]))
