"""The motion of frames, and frames moved on along it.

`search.py` finds motion by the searches of `searches.py`, and `advection.py` moves frames on. Both compute by tensors
on any device (`eager.py`), on a CPU with the compiled kernel `motion.c` (`native.py`), or on an NVIDIA GPU with kernels
in Triton (`triton_search.py`, `triton_advance.py`); `choice.py` says which.
The folder imports nothing of the cell, the layers or the networks.

Displacements are in pixels, (B, 2, H, W) with x before y, and (B, 2 K, H, W) those of K motions, one after the other.
"""

from convlstm_cli.nn.motion.advection import Advection, past_errors
from convlstm_cli.nn.motion.choice import why_no_kernel
from convlstm_cli.nn.motion.eager import enlarge, improve
from convlstm_cli.nn.motion.gaussian import blur
from convlstm_cli.nn.motion.reading import sample
from convlstm_cli.nn.motion.search import (
    apart,
    estimate_motion,
    estimate_motions,
    groups,
    pyramid,
    seen_from,
)
from convlstm_cli.nn.motion.searches import SEARCHES, Search

__all__ = [
    "SEARCHES",
    "Advection",
    "Search",
    "apart",
    "blur",
    "enlarge",
    "estimate_motion",
    "estimate_motions",
    "groups",
    "improve",
    "past_errors",
    "pyramid",
    "sample",
    "seen_from",
    "why_no_kernel",
]
