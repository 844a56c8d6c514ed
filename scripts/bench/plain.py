"""The plain PyTorch ConvLSTM cell that most projects copy, as a baseline for speed and skill."""

import torch
from torch import Tensor, nn

State = tuple[Tensor, Tensor]
"""The hidden state h and the cell state c, each (B, hidden, H, W)."""


class PlainCell(nn.Module):
    """One convolution over the input and the hidden state together, no peepholes, gates stacked i, f, o, g."""

    def __init__(self, fan_in: int, hidden: int, kernel: int) -> None:
        """`fan_in` is the number of channels of x, 0 for a cell without input."""
        super().__init__()
        self.hidden = hidden
        self.conv = nn.Conv2d(fan_in + hidden, 4 * hidden, kernel, padding=kernel // 2)

    def forward(self, x: Tensor | None, h: Tensor, c: Tensor) -> State:
        """One time step: x (B, fan_in, H, W) or None, and the last state, to the next state."""
        gates = self.conv(h if x is None else torch.cat((x, h), dim=1))
        i, f, o, g = torch.split(gates, self.hidden, dim=1)
        c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
        return torch.sigmoid(o) * torch.tanh(c), c
