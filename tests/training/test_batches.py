from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from convlstm_cli.compute.distributed import Ranks
from convlstm_cli.training.batches import batches, steps_per_epoch
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare


@pytest.fixture
def clips(make_folder: Callable[..., Path]) -> ClipDataset:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3).clips("train")


def content(clips: ClipDataset, config: TrainConfig, epoch: int = 0, position: int = 0) -> list[torch.Tensor]:
    return [batch for batch, _ in batches(clips, config, epoch, position)]


def test_an_epoch_has_every_clip_as_often_as_any_other(clips: ClipDataset) -> None:
    config = TrainConfig(batch_size=5, epoch_steps=12)
    made = content(clips, config)
    assert len(made) == steps_per_epoch(clips, config) >= config.epoch_steps
    seen = torch.cat(made)
    for clip in range(len(clips)):
        assert (seen == clips[clip]).flatten(1).all(1).sum() % (len(seen) // len(clips)) == 0
    assert len(seen) % len(clips) == 0


def test_the_seed_and_the_epoch_decide_the_order_and_an_epoch_goes_on_where_it_was(clips: ClipDataset) -> None:
    config = TrainConfig(batch_size=5, epoch_steps=1)
    whole = content(clips, config)
    assert all(torch.equal(a, b) for a, b in zip(whole[2:], content(clips, config, position=2), strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(whole, content(clips, config, epoch=1), strict=True))
    other = content(clips, TrainConfig(batch_size=5, epoch_steps=1, seed=1))
    assert any(not torch.equal(a, b) for a, b in zip(whole, other, strict=True))


def test_processes_share_each_batch(clips: ClipDataset) -> None:
    config = TrainConfig(batch_size=3, epoch_steps=1)
    whole = content(clips, config)
    shares = [list(batches(clips, config, 0, ranks=Ranks(rank, 4))) for rank in range(4)]
    for batch, *parts in zip(whole, *shares, strict=True):
        assert sorted(place for _, (places, _) in parts for place in places) == list(range(len(batch)))
        for own, (places, count) in parts:
            assert count == len(batch)
            assert torch.equal(own, batch[list(places)] if places else batch[:1])
