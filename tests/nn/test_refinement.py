"""The head's stage at full resolution: where it starts, what it can do, and that it leaves no grid of patches."""

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import REFINED_FEATURES, Head
from convlstm_cli.nn.refinement import FARTHEST, JUDGEMENT, Refinement

SMALL = ForecasterConfig(16, 24, 1, hidden=(3,), patch_size=4, input_frames=3, horizon=2)
REFINING: tuple[Head, ...] = ("refined", "motions")


def network(head: Head, channels: int = 1) -> EncoderForecaster:
    torch.manual_seed(0)
    return EncoderForecaster(replace(SMALL, head=head, channels=channels)).eval()


def frames(channels: int = 1, height: int = 16, width: int = 24) -> Tensor:
    return torch.rand(2, 3, channels, height, width, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("channels", [1, 3])
def test_training_starts_where_that_of_a_plain_mix_does(channels: int) -> None:
    """But for the new frame, of which there is less than a thousandth at the start."""
    with torch.no_grad():
        ours, plain = (network(kind, channels)(frames(channels)) for kind in ("refined", "mix"))
    torch.testing.assert_close(ours, plain, rtol=0.0, atol=1e-3)


@pytest.mark.parametrize("head", REFINING)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_parameter_is_learned(head: Head, channels: int) -> None:
    """After the first step: at the start nothing depends on the first convolution, as the second is zero."""
    model = network(head, channels).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    for _ in range(2):
        optimizer.zero_grad()
        (model(frames(channels)) - 0.5).square().mean().backward()
        optimizer.step()
    idle = [name for name, each in model.named_parameters() if each.grad is None or not each.grad.any()]
    assert not idle


@pytest.mark.parametrize("head", REFINING)
def test_any_size_that_the_patch_divides_fits(head: Head) -> None:
    with torch.no_grad():
        forecast = network(head)(frames(height=8, width=36), 4)
    assert forecast.shape == (2, 4, 1, 8, 36)
    assert forecast.min() >= 0
    assert forecast.max() <= 1


def test_a_frame_is_steered_by_whole_pixels() -> None:
    stage = Refinement(1, [0.0], steered=True)
    assert stage.say.bias is not None
    with torch.no_grad():
        stage.say.weight.zero_()
        stage.say.bias[-2:] = torch.tensor([FARTHEST * torch.atanh(torch.tensor(1.0 / FARTHEST)), 0.0])
    known = torch.rand(1, 1, 6, 8)
    _, [shifted] = stage(torch.zeros(1, REFINED_FEATURES, 6, 8), [known])
    torch.testing.assert_close(shifted[..., :-1], known[..., 1:])


def test_a_known_frame_that_was_right_before_weighs_more() -> None:
    """With errors of one half and of one tenth, the inverse powers of them say by how much."""
    known = [torch.zeros(1, 1, 4, 4), torch.ones(1, 1, 4, 4)]
    stage = Refinement(1, [0.0, 0.0], steered=False, past=2 * len(JUDGEMENT), judged=[0, 1])
    past = torch.tensor([0.5, 0.1] * len(JUDGEMENT)).log().view(1, -1, 1, 1).expand(1, -1, 4, 4)
    said, _ = stage(torch.zeros(1, REFINED_FEATURES, 4, 4), known, past=past)
    ratio = (said[:, 2] - said[:, 1]).exp()
    torch.testing.assert_close(ratio, torch.full_like(ratio, 5.0 ** sum(JUDGEMENT)))


def test_the_best_of_several_motions_is_believed() -> None:
    """A texture that turned back five frames ago, within the eight of the coarse motion, goes on its new way."""
    texture = F.interpolate(
        torch.rand(1, 1, 6, 12, generator=torch.Generator().manual_seed(2)), size=(24, 48), mode="bicubic"
    )
    places = (8, 9, 10, 11, 12, 13, 12, 11, 10, 9, 8, 7, 6)
    clip = torch.stack([texture[..., 4:20, 20 - place : 44 - place] for place in places], dim=1).clamp(0.0, 1.0)
    judging, other = network("motions"), network("motions")
    assert other.head.refinement is not None
    assert other.head.refinement.judge is not None
    with torch.no_grad():
        other.head.refinement.judge.weight.zero_()
        errors = [(each(clip[:, :-2], 2) - clip[:, -2:]).square().mean().item() for each in (judging, other)]
    assert errors[0] < 0.5 * errors[1]


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_few_frames_have_a_short_past(steps: int) -> None:
    """A single frame has none: it is copied, as nothing is known of its motion."""
    clip = torch.rand(2, steps, 1, 16, 24, generator=torch.Generator().manual_seed(3))
    with torch.no_grad():
        forecast = network("motions")(clip, 3)
    assert forecast.isfinite().all()
    if steps == 1:  # some of it is the same blurred
        assert (forecast - clip[:, -1:]).abs().mean() < 0.5 * (clip[:, -1] - clip[:, -1].roll(1, dims=-1)).abs().mean()


def test_the_weights_of_a_pixel_see_across_the_border_of_its_patch() -> None:
    """Those of a plain mix do not: what its hidden states say in one patch changes nothing in the next."""

    def reach(head: Head) -> set[int]:
        model = network(head).double()
        for parameter in model.head.parameters():
            torch.nn.init.normal_(parameter, std=0.5)
        hidden = torch.rand(1, 1, 3, 4, 6, dtype=torch.float64, requires_grad=True)
        known = [torch.rand(1, 1, 1, 16, 24, dtype=torch.float64) for _ in range(3)]
        model.head(hidden, known)[0, 0, 0, :, 7].sum().backward()  # the last column of the second patch
        assert hidden.grad is not None
        return set(hidden.grad.abs().sum(dim=(0, 1, 2, 3)).nonzero().flatten().tolist())

    assert reach("mix") == {1}
    assert reach("refined") == {1, 2}
