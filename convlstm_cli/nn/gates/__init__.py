"""The gate arithmetic of one time step and its gradient, between the convolutions: the rest of `nn/cell.py`.

`protocol.py` says what an implementation does, `eager.py`, `native.py` and `triton.py` are the three, and `choice.py`
picks one by the device. Nothing here imports the recurrence, the layers or the networks.
"""

from convlstm_cli.nn.gates.choice import choose, why_no_kernel
from convlstm_cli.nn.gates.protocol import Gates, Sums, as_fusing

__all__ = ["Gates", "Sums", "as_fusing", "choose", "why_no_kernel"]
