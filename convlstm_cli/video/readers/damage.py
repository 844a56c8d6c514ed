"""Which frames of a file are lost: packets that came in, against frames that came out."""

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from convlstm_cli.video.readers.container import ContainerFacts
from convlstm_cli.video.readers.stop import Stop

MOST_PLACES = 4
"""Places of damage that a note lists."""


@dataclass
class Ledger:
    """Times of the packets of a video stream, and of the frames that were decoded from them, in its ticks."""

    packets: "array[int]" = field(default_factory=lambda: array("q"))
    frames: "array[int]" = field(default_factory=lambda: array("q"))
    untimed: int = 0
    """Packets without a time, less frames without one."""
    damaged: bool = False
    """Whether anything failed to decode."""
    failed_at_end: bool = False
    """Whether the decoder failed when it was asked for the frames that it held back."""

    def take(self, time: int | None, before: Stop | None) -> None:
        """Notes a packet, unless it is of a frame that another decoder gave."""
        if time is None:
            self.untimed += 1
        elif before is None or time > before.last:
            self.packets.append(time)

    def give(self, time: int | None) -> None:
        """Notes a frame."""
        if time is None:
            self.untimed -= 1
        else:
            self.frames.append(time)

    def note(self, facts: ContainerFacts, before: Stop | None = None) -> str | None:
        """How many frames are lost, of how many, and where, counted from 1; None if none is.

        `before` is where another decoder stopped, if the ledger begins behind that.
        """
        lost = sorted(set(self.packets).difference(self.frames))
        if not self.damaged:
            # Packets that show nothing are no damage, but those before the first picture that is whole in itself are.
            lost = [time for time in lost if self.frames and time < min(self.frames)] if before is None else []
            if not lost:
                return None
            return f"{_text(*self._numbers(lost, facts, before))}: they come before the first that is whole in itself"
        if not lost:
            return f"{self.untimed} frames cannot be decoded: the file is damaged" if self.untimed > 0 else None
        return f"{_text(*self._numbers(lost, facts, before))}: the file is damaged there"

    def _numbers(self, lost: Sequence[int], facts: ContainerFacts, before: Stop | None) -> tuple[Sequence[int], int]:
        """The numbers of the lost frames, from 1, and that of the last frame."""
        every = sorted(set(self.packets))
        start = every[0] if before is None else before.first
        # By time where that can be, since damage can also swallow whole packets; a damaged time may lie anywhere.
        step = 1 / (facts.fps * float(facts.tick)) if facts.fps is not None and facts.even else math.inf
        at = {time: round((time - start) / step) + 1 for time in every}
        if at[every[-1]] <= (facts.declared_frames or 0) and len(every) <= at[every[-1]]:
            there = {at[time] for time in set(every).difference(lost)}
            first = 1 if before is None else round((before.last - start) / step) + 2
            return [number for number in range(first, at[every[-1]] + 1) if number not in there], at[every[-1]]
        position = {time: number for number, time in enumerate(every, start=1)}
        return [position[time] for time in lost], len(every)


def _text(numbers: Sequence[int], last: int) -> str:
    starts = [numbers[0], *(after for before, after in pairwise(numbers) if after > before + 1)]
    ends = [*(before for before, after in pairwise(numbers) if after > before + 1), numbers[-1]]
    places = [f"{a}" if a == b else f"{a} to {b}" for a, b in zip(starts, ends, strict=True)]
    more = f" and {len(places) - MOST_PLACES} more places" if len(places) > MOST_PLACES else ""
    return f"{len(numbers)} of {last} frames cannot be decoded ({', '.join(places[:MOST_PLACES])}{more})"
