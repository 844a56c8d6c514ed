"""The clips that training draws from: a ring of each size in the device's memory, renewed as new clips come."""

import numpy as np
import torch
from torch import Tensor

from pretraining import factory
from pretraining.factory import CHUNK, Clips, Factory, Size
from pretraining.settings import CLIP_FRAMES, Settings

LEAST = 32 * CHUNK
"""Clips of each size that have to be there before training begins, unless the ring is smaller."""


class Rings:
    """Draws batches of clips, and puts in what the workers have made."""

    def __init__(self, settings: Settings, device: torch.device, first: int) -> None:
        self._device = device
        sizes = tuple(dict.fromkeys(settings.sizes))
        capacity = max(CHUNK, settings.ring // CHUNK * CHUNK)
        self._kind = factory.Kind(CLIP_FRAMES, settings.channels, settings.seed)
        self._rings = {
            size: torch.empty(capacity, CLIP_FRAMES, settings.channels, *size, dtype=torch.uint8, device=device)
            for size in sizes
        }
        self._filled = dict.fromkeys(sizes, 0)
        self._next = dict.fromkeys(sizes, 0)
        self._factory: Factory | None = None
        self.received = 0
        """Clips that came in by now."""
        if settings.clips is not None:
            for size in sizes:
                for clips in factory.read_folder(settings.clips, size):
                    if self._filled[size] < capacity:
                        self._put(size, clips)
                if not self._filled[size]:
                    raise SystemExit(f"--clips {settings.clips}: holds no clips of {size[0]}x{size[1]}")
        else:
            self._factory = Factory(self._kind, settings.sizes, settings.workers, first)
            least = min(LEAST, capacity)
            while min(self._filled.values()) < least:
                self.renew(1.0)

    @property
    def made(self) -> int:
        """Number of the next clip that will be made."""
        return 0 if self._factory is None else self._factory.made

    def renew(self, patience: float = 0.0) -> None:
        """Puts in all clips that are finished; waits for the first of them for so many seconds."""
        while self._factory is not None:
            taken = self._factory.take(patience)
            if taken is None:
                return
            self._put(*taken)
            patience = 0.0

    def draw(self, size: Size, count: int, generator: torch.Generator) -> Tensor:
        """Random clips, (count, T, C, H, W) uint8; the generator is one of the device."""
        places = torch.randint(self._filled[size], (count,), generator=generator, device=self._device)
        return self._rings[size][places]

    def close(self) -> None:
        """Ends the workers."""
        if self._factory is not None:
            self._factory.close()

    def _put(self, size: Size, clips: Clips) -> None:
        ring, at = self._rings[size], self._next[size]
        channels_first = torch.from_numpy(np.ascontiguousarray(clips.transpose(0, 1, 4, 2, 3)))
        if self._device.type == "cuda":
            # Of pinned memory the copy needs no wait, and torch gives the memory away again when it is done.
            channels_first = channels_first.pin_memory()
        count = min(len(channels_first), len(ring) - at)
        ring[at : at + count].copy_(channels_first[:count], non_blocking=True)
        self._next[size] = (at + count) % len(ring)
        self._filled[size] = max(self._filled[size], at + count)
        self.received += count
