"""The batches of an epoch: their number, their order, and each process's share of them."""

import math
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.draws import Part
from convlstm_cli.video.clips import ClipDataset


def batches(
    clips: ClipDataset, config: TrainConfig, epoch: int, position: int = 0, ranks: Ranks = ALONE
) -> Iterator[tuple[Tensor, Part]]:
    """The batches of an epoch (counted from 0) that follow the first `position` ones.

    Yields this process's clips of each batch, (B, T, C, H, W), and which they are. The order depends on nothing
    but seed and epoch. A process that has no clip of a batch gets one that does not count.
    """
    generator = torch.Generator().manual_seed(config.seed * 1_000_003 + epoch)
    order = torch.cat([torch.randperm(len(clips), generator=generator) for _ in range(_passes(clips, config))])
    size = config.batch_size
    starts = range(position * size, len(order), size)
    # One after another: an epoch may have millions.
    whole = (order[start : start + size].tolist() for start in starts)
    own = (list(ranks.share(batch)) or batch[:1] for batch in whole)
    for start, loaded in zip(starts, DataLoader(clips, batch_sampler=own, generator=generator), strict=True):
        count = min(size, len(order) - start)
        yield loaded, (ranks.share(range(count)), count)


def steps_per_epoch(clips: ClipDataset, config: TrainConfig) -> int:
    """Optimiser steps of an epoch."""
    return math.ceil(_passes(clips, config) * len(clips) / config.batch_size)


def _passes(clips: ClipDataset, config: TrainConfig) -> int:
    """Times that an epoch passes over the clips, so that few clips do not mean validation after every few steps."""
    return math.ceil(config.epoch_steps / math.ceil(len(clips) / config.batch_size))
