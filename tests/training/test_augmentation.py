import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from convlstm_cli.training.augmentation import augment

KINDS = ("hflip", "vflip", "rot90", "reverse")


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
def test_each_kind_gives_its_versions_and_nothing_else(kind, versions) -> None:  # type: ignore[no-untyped-def]
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
