"""The network, from the equations of the cell to the forecaster: tensors in, tensors out, no files and no console.

May import errors.py, files.py (the cache of compiled kernels) and itself, and nothing else of the package.
The names below are imported at first use, so that reading a configuration imports no torch. See README.md for more.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from convlstm_cli.nn.config import ForecasterConfig as ForecasterConfig
    from convlstm_cli.nn.forecaster import EncoderForecaster as EncoderForecaster
    from convlstm_cli.nn.layer import ConvLSTM as ConvLSTM
    from convlstm_cli.nn.stack import ConvLSTMStack as ConvLSTMStack

_HOMES = {
    "ConvLSTM": "convlstm_cli.nn.layer",
    "ConvLSTMStack": "convlstm_cli.nn.stack",
    "EncoderForecaster": "convlstm_cli.nn.forecaster",
    "ForecasterConfig": "convlstm_cli.nn.config",
}

__all__ = ["ConvLSTM", "ConvLSTMStack", "EncoderForecaster", "ForecasterConfig"]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
