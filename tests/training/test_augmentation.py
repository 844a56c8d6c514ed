from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.train import check_options, train
from convlstm_cli.training.augmentation import AUGMENTATIONS, Augmentation, Frames, augment
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

KINDS = tuple(AUGMENTATIONS)
Change = Callable[[torch.Tensor], torch.Tensor]


def clips(count: int = 64, steps: int = 3, height: int = 4, width: int = 4) -> torch.Tensor:
    """No two values of a clip are alike."""
    values = torch.arange(steps * 2 * height * width).view(steps, 2, height, width)
    return values.expand(count, -1, -1, -1, -1).contiguous()


@pytest.mark.parametrize(
    ("kind", "versions"),
    [
        ("hflip", [lambda c: c, lambda c: c.flip(3)]),
        ("vflip", [lambda c: c, lambda c: c.flip(2)]),
        ("reverse", [lambda c: c, lambda c: c.flip(0)]),
        ("rot90", [lambda c, k=k: torch.rot90(c, k, (2, 3)) for k in range(4)]),
    ],
)
def test_each_kind_gives_its_versions_and_nothing_else(kind: str, versions: Sequence[Change]) -> None:
    original = clips()
    seen = set()
    for clip in augment(original, (kind,), seed=(0, 0)):
        matches = [index for index, version in enumerate(versions) if torch.equal(clip, version(original[0]))]
        assert len(matches) == 1
        seen.add(matches[0])
    assert seen == set(range(len(versions)))


@settings(max_examples=20, deadline=None)
@given(st.lists(st.sampled_from(KINDS), unique=True), st.integers(0, 2**31), st.integers(0, 10**6))
def test_the_seed_and_the_step_decide(kinds: list[str], seed: int, step: int) -> None:
    once, twice = (augment(clips(8), kinds, seed=(seed, step)) for _ in range(2))
    assert torch.equal(once, twice)
    assert once.sort(dim=-1).values.sum() == clips(8).sum()


def test_steps_differ() -> None:
    assert not torch.equal(augment(clips(), KINDS, seed=(0, 1)), augment(clips(), KINDS, seed=(0, 2)))


def test_nothing_is_done_unasked() -> None:
    original = clips()
    assert augment(original, (), seed=(0, 0)) is original


def test_frames_that_are_not_square_are_flipped_all_the_same() -> None:
    assert augment(clips(width=6), ("hflip", "vflip", "reverse"), seed=(0, 0)).shape == (64, 3, 2, 4, 6)


def test_a_part_is_changed_as_in_the_whole() -> None:
    batch = clips(7)
    whole = augment(batch, KINDS, (3, 5))
    for rank in range(3):
        part = range(rank, 7, 3)
        assert torch.equal(augment(batch[rank::3], KINDS, (3, 5), (part, 7)), whole[rank::3])
    assert len(augment(batch[:1], KINDS, (3, 5), ((), 7))) == 1


def test_what_a_kind_draws_does_not_depend_on_the_others() -> None:
    """With all kinds together, the flips in time are those of that kind alone."""
    steps = torch.arange(5.0).view(5, 1, 1, 1).expand(32, 5, 1, 4, 4)  # the frames are alike but for their number
    assert torch.equal(augment(steps, KINDS, (0, 0)), augment(steps, ("reverse",), (0, 0)))


def test_an_augmentation_is_added_in_one_place(
    make_folder: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options, checks and training read the registry."""
    with pytest.raises(UsageError, match="--augment is 'invert'; choose one of reverse, "):
        TrainConfig(augment=("invert",))
    seen: list[float] = []

    def invert(clip: torch.Tensor, draw: float) -> torch.Tensor:
        seen.append(draw)
        return 255 - clip

    wide = Frames("wide frames", lambda height, width: width > height)
    monkeypatch.setitem(AUGMENTATIONS._entries, "invert", Augmentation("invert", "black for white", invert, wide))
    model = ForecasterConfig(32, 48, 1, hidden=(2,), kernel_size=1, input_frames=4, horizon=3)
    config = TrainConfig(augment=("invert",), max_steps=1, epoch_steps=1, batch_size=4, device="cpu")
    with pytest.raises(UsageError, match="--augment invert needs wide frames and --size is 32x32"):
        check_options(ForecasterConfig(32, 32, 1), config)
    data = prepare(DataConfig((str(make_folder()),), height=32, width=48), 4, 3)
    train(data, model, config, tmp_path / "run")
    assert len(set(seen)) == 4
