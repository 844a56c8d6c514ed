"""Weights from and to the cells of other systems: a file and a function each way for each system.

`systems.py` is the registry: which systems there are, how they differ and which functions convert them. A `from_`
function takes arrays as their system hands them out and returns a `ConvLSTM` of the same dtype that computes the
same; a `to_` function returns the arrays and the options that the other cell is made with. Arrays are copied, never
shared. `from_torch_lstm` and `to_torch_lstm` take and return whole modules, of several layers and directions.
Dense cells are ConvLSTMs with 1x1 kernels: they read (B, T, in, 1, 1), or images position by position.

Regularisers act in training only and are not converted, and neither is Gers' rule. All functions raise UsageError
for arrays or options that the other system, or a ConvLSTM, cannot express; the message names the tensor.

May import nn/ and itself. The functions are imported at first use, so that the registry imports no torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

from convlstm_cli.nn.interop.systems import SYSTEMS as SYSTEMS

if TYPE_CHECKING:
    from convlstm_cli.nn.interop.keras import from_keras as from_keras
    from convlstm_cli.nn.interop.keras import to_keras as to_keras
    from convlstm_cli.nn.interop.ndrplz import from_ndrplz as from_ndrplz
    from convlstm_cli.nn.interop.ndrplz import to_ndrplz as to_ndrplz
    from convlstm_cli.nn.interop.openstl import from_openstl as from_openstl
    from convlstm_cli.nn.interop.openstl import to_openstl as to_openstl
    from convlstm_cli.nn.interop.peephole_lstm import from_keras_peephole as from_keras_peephole
    from convlstm_cli.nn.interop.peephole_lstm import to_keras_peephole as to_keras_peephole
    from convlstm_cli.nn.interop.tensorflow1 import from_tf1 as from_tf1
    from convlstm_cli.nn.interop.tensorflow1 import to_tf1 as to_tf1
    from convlstm_cli.nn.interop.torch_lstm import from_torch_lstm as from_torch_lstm
    from convlstm_cli.nn.interop.torch_lstm import to_torch_lstm as to_torch_lstm

_HOMES = {name: system.file for system in SYSTEMS.values() for name in system.functions}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
