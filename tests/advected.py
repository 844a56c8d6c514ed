"""Advections as networks begin them, for tests of the motion alone."""

from collections.abc import Iterable

from torch import Tensor

from convlstm_cli.nn.motion import Advection, estimate_motions


def advected(frames: Tensor, names: Iterable[str] = ("medium",), *, is_splatted: bool = False) -> Advection:
    """The last of the frames (B, T, C, H, W), not moved yet, with its motions by the searches of these names."""
    [motion] = estimate_motions(frames.detach(), names)
    return Advection.starting(frames[:, -1], motion, is_splatted=is_splatted)
