"""The tensors that a sequence is computed from, flat, as an autograd function takes them."""

from typing import NamedTuple

from torch import Tensor

from convlstm_cli.nn.cell import CellWeights, Peepholes


class Inputs(NamedTuple):
    """What a sequence is computed from."""

    x: Tensor | None
    h_0: Tensor | None
    c_0: Tensor | None
    weight_ih: Tensor | None
    weight_hh: Tensor
    bias: Tensor
    peephole_i: Tensor | None
    peephole_f: Tensor | None
    peephole_o: Tensor | None

    @property
    def weights(self) -> CellWeights:
        """The weights in the form of the equations."""
        i, f, o = self[6:]
        peepholes = None if i is None or f is None or o is None else Peepholes(i, f, o)
        return CellWeights(self.weight_ih, self.weight_hh, self.bias, peepholes)
