"""Frames moved on along their motions, in two ways.

Moved: backward semi-Lagrangian advection with a motion that is constant in time at each place, traced by the midpoint
rule (Germann and Zawadzki 2002). Frames are read by cubic convolution (Keys 1981), which keeps them sharp. This is
right for rain, which the wind carries; but nothing arrives where nothing moved, so that a thing before a still
background comes no farther than the window in which its motion was found.

Splatted: each pixel goes on with the motion that it has in the last frame (forward warping; the average splatting of
Niklaus and Liu 2020, CVPR). Things that meet are averaged. Between things that move apart stands what lands around, and
where nothing lands the moved frame.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from convlstm_cli.nn.motion.choice import choose
from convlstm_cli.nn.motion.gaussian import blur

PAST_WINDOW = 1.5
"""σ in pixels of the Gaussian over which errors of the past are averaged."""
WHOLE = 6.0
"""What the error of the whole frame counts for beside that around a place."""


class Advection(NamedTuple):
    """A frame that is moved on along one or several motions, seen through a window."""

    frame: Tensor
    """(B, C, H, W): the whole of it, in [0, 1]."""
    motion: Tensor
    """(B, 2 K, H, W): of the whole frame, in pixels a step."""
    source: Tensor
    """(B, 2 K, h, w): how far away in the frame lies what is to be seen in the window now."""
    beside: Tensor | None = None
    """(B, N, H, W): what else is carried along the first of the motions, and is read bilinearly."""
    corner: tuple[int, int] = (0, 0)
    """Row and column of the frame where the window begins; it may reach beyond the frame, whose edge is repeated."""
    is_cubic: bool = True
    """Whether the frame is read by cubic convolution, which may go beyond the frame's values; else bilinearly."""
    lead: Tensor | None = None
    """(B, 1, 1, 1): the steps that were made, where the frame is splatted too."""

    @classmethod
    def starting(
        cls, frame: Tensor, motion: Tensor, *, is_cubic: bool = True, is_splatted: bool = False
    ) -> "Advection":
        """A frame (B, C, H, W) that is not moved yet, as a whole, with motions (B, 2 K, H, W) that are known."""
        lead = frame.new_zeros(frame.shape[0], 1, 1, 1) if is_splatted else None
        return cls(frame, motion, torch.zeros_like(motion), is_cubic=is_cubic, lead=lead)

    def window(self, top: int, left: int, height: int, width: int) -> "Advection":
        """The same, not moved yet, seen through a window of the frame."""
        shape = self.motion.shape[0], self.motion.shape[1], height, width
        return self._replace(source=self.motion.new_zeros(shape), corner=(top, left))

    def carrying(self, fields: Tensor) -> "Advection":
        """The same with further fields (B, n, H, W) beside the frame."""
        return self._replace(beside=fields if self.beside is None else torch.cat((self.beside, fields), dim=1))

    def advance(self, steps: int, unseen: int = 0) -> tuple[Tensor, Tensor | None, "Advection"]:
        """What the window shows after each of the next steps, but for the first `unseen`, and what goes on from there.

        The frames are (B, steps, K, C, h, w), one for each motion, or (B, steps, 2 K, C, h, w) with those that are
        splatted along each behind; and what is beside them is (B, steps, N, h, w).
        """
        given = self.frame, self.motion, self.source, self.beside, self.lead
        seen, beside, source = choose(*given).advance(
            self.frame,
            self.motion,
            self.source,
            steps,
            beside=self.beside,
            corner=self.corner,
            is_cubic=self.is_cubic,
            unseen=unseen,
            lead=self.lead,
        )
        lead = None if self.lead is None else self.lead + float(unseen + steps)
        return seen, beside, self._replace(source=source, lead=lead)


def past_errors(frames: Tensor, motion: Tensor, steps: int, blurred: float) -> Tensor:
    """By how much each known frame missed the last frame, when it was forecast so many steps before.

    Around each place the error is that of this place, and `WHOLE` times that of the whole frame: a few pixels say
    little of what comes, and which motion is right for a video shows in the whole frame.

    Args:
        frames: (B, T, C, H, W) in [0, 1], T > steps.
        motion: that which the frames before the last `steps` show, (B, 2 K, H, W). One that had seen the last frame
            would be fitted to it, and most of all the motion of the fewest frames.
        steps: lead time of the hindcast; 0 where there is no frame before the last.
        blurred: σ in pixels of the blur of the frame that is moved along the first motion.

    Returns:
        (B, K + 2, H, W): the mean |difference| of the channels, of the frame before moved along each motion, of the
        first of these blurred, and of the frame before as it is.
    """
    before, last = frames[:, -1 - steps], frames[:, -1:]
    if steps:
        moved = Advection.starting(before, motion).advance(1, steps - 1)[0][:, 0].clamp(0.0, 1.0)
    else:
        moved = before[:, None].expand(-1, motion.shape[1] // 2, -1, -1, -1)
    known = torch.cat((moved, blur(moved[:, 0], blurred)[:, None], before[:, None]), dim=1)
    errors = (known - last).abs().mean(dim=2)
    return blur(errors, PAST_WINDOW) + WHOLE * errors.mean(dim=(-2, -1), keepdim=True)
