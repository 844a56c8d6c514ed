"""`EncoderForecaster`: its size, its horizons, and what reaches what."""

import copy
import math
from dataclasses import replace
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import Forecaster, Head, Peephole
from convlstm_cli.nn.forecaster import parameter_count
from convlstm_cli.nn.head import START
from convlstm_cli.nn.head import Head as FrameHead

KINDS = get_args(Peephole)
FORECASTERS = get_args(Forecaster)
HEADS = get_args(Head)

SMALL = ForecasterConfig(8, 12, 1, hidden=(3, 2), kernel_size=3, patch_size=4, input_frames=3, horizon=2)


def make(config: ForecasterConfig) -> EncoderForecaster:
    """A network whose parameters are all drawn, so that nothing starts at zero."""
    torch.manual_seed(0)
    network = EncoderForecaster(config).eval()
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return network


def frames(config: ForecasterConfig = SMALL, batch: int = 2, steps: int = 3, **options: Any) -> Tensor:
    random = torch.Generator().manual_seed(1)
    return torch.rand(batch, steps, config.channels, config.height, config.width, generator=random, **options)


def drifting(*, right: int, down: int, steps: int = 8, size: int = 32) -> Tensor:
    """(1, steps, 1, size, size): a smooth texture that moves by whole pixels a frame."""
    random = torch.Generator().manual_seed(2)
    texture = torch.nn.functional.interpolate(
        torch.rand(1, 1, 16, 16, generator=random), size=2 * size, mode="bicubic", align_corners=False
    ).clamp(0.0, 1.0)
    views = []
    for step in range(steps):
        top, left = size // 2 - down * step, size // 2 - right * step
        views.append(texture[:, :, top : top + size, left : left + size])
    return torch.stack(views, dim=1)


# Its size


@pytest.mark.parametrize(
    ("hidden", "kernel", "recurrent", "count"),
    [
        ((256,), 5, 5, 13_524_496),
        ((128, 128), 5, 5, 10_042_896),
        ((128, 64, 64), 5, 5, 7_585_296),
        ((128, 128), 9, 1, 11_550_224),
        ((128, 64, 64), 9, 1, 8_830_480),
    ],
)
def test_the_papers_parameter_counts(hidden: tuple[int, ...], kernel: int, recurrent: int, count: int) -> None:
    """Shi et al. 2015, table 1: 64x64 frames in 4x4 patches; only peepholes per channel give these numbers."""
    config = ForecasterConfig(
        64,
        64,
        1,
        hidden=hidden,
        kernel_size=kernel,
        recurrent_kernel_size=recurrent,
        patch_size=4,
        peephole="channel",
        forecaster="unconditioned",
        head="sigmoid",
    )
    assert parameter_count(config) == count
    assert parameter_count(replace(config, peephole="none")) < count < parameter_count(replace(config, peephole="full"))


@pytest.mark.parametrize("forecaster", FORECASTERS)
@pytest.mark.parametrize("peephole", KINDS)
def test_the_count_is_that_of_the_network(peephole: Peephole, forecaster: Forecaster) -> None:
    config = replace(SMALL, peephole=peephole, forecaster=forecaster)
    state = torch.get_rng_state()
    count = parameter_count(config)
    assert torch.equal(torch.get_rng_state(), state)
    assert count == sum(parameter.numel() for parameter in EncoderForecaster(config).parameters())


def test_arms_of_a_comparison_start_alike() -> None:
    """The same seed draws the same values for all that networks of different peepholes share."""
    networks = {}
    for peephole in KINDS:
        torch.manual_seed(3)
        networks[peephole] = EncoderForecaster(replace(SMALL, peephole=peephole)).state_dict()
    for peephole in ("channel", "full"):
        assert networks["none"].keys() < networks[peephole].keys()
        for name, value in networks["none"].items():
            assert torch.equal(networks[peephole][name], value), name


# Its horizons


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("forecaster", FORECASTERS)
@pytest.mark.parametrize("peephole", KINDS)
@pytest.mark.parametrize("channels", [1, 3])
def test_shapes_and_range(channels: int, peephole: Peephole, forecaster: Forecaster, head: Head) -> None:
    config = replace(SMALL, channels=channels, peephole=peephole, forecaster=forecaster, head=head)
    network = make(config)
    for steps, horizon in [(1, 1), (3, 5), (4, None)]:
        forecast = network(frames(config, steps=steps), horizon)
        assert forecast.shape == (2, horizon or config.horizon, channels, 8, 12)
        assert 0.0 <= forecast.min() <= forecast.max() <= 1.0


@settings(max_examples=15, deadline=None)
@given(st.sampled_from(FORECASTERS), st.sampled_from(HEADS), st.integers(1, 4), st.integers(1, 4))
def test_a_longer_horizon_begins_with_the_shorter_one(
    forecaster: Forecaster, head: Head, short: int, more: int
) -> None:
    network = make(replace(SMALL, forecaster=forecaster, head=head)).double()
    clip = frames(dtype=torch.float64)
    torch.testing.assert_close(network(clip, short + more)[:, :short], network(clip, short))


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(FORECASTERS), st.sampled_from(HEADS), st.integers(1, 5), st.integers(1, 7), st.integers(1, 8))
def test_a_stream_is_the_forecast_in_pieces(
    forecaster: Forecaster, head: Head, steps: int, horizon: int, chunk: int
) -> None:
    network = make(replace(SMALL, forecaster=forecaster, head=head))
    clip = frames(steps=steps)
    with torch.no_grad():
        pieces = list(network.stream(clip, horizon, chunk=chunk))
        expected = network(clip, horizon)
    assert [piece.shape[1] for piece in pieces] == [min(chunk, horizon - at) for at in range(0, horizon, chunk)]
    torch.testing.assert_close(torch.cat(pieces, dim=1), expected)


@pytest.mark.parametrize("forecaster", FORECASTERS)
def test_a_stream_computes_no_more_than_a_piece_at_a_time(forecaster: Forecaster) -> None:
    network = make(replace(SMALL, forecaster=forecaster))
    computed: list[int] = []
    for layer in (*network.encoder, *network.forecaster):
        layer.register_forward_hook(lambda _module, _inputs, outputs: computed.append(outputs[0].shape[1]))
    stream = network.stream(frames(steps=7), 1000, chunk=3)
    next(stream)
    next(stream)
    assert max(computed) <= 3
    assert sum(computed) == 2 * (7 + 6)  # two layers in each stack; nothing is computed before it is asked for


def test_what_becomes_of_a_piece_does_not_change_the_next() -> None:
    network = make(replace(SMALL, forecaster="autoregressive"))
    with torch.no_grad():
        expected = network(frames(), 4)
        stream = network.stream(frames(), 4, chunk=2)
        next(stream).zero_()
        torch.testing.assert_close(next(stream), expected[:, 2:])


@pytest.mark.parametrize("forecaster", ["unconditioned", "autoregressive"])
def test_a_new_residual_network_copies_the_last_frame(forecaster: Forecaster) -> None:
    """The baseline to beat is where training starts."""
    clip = frames()
    forecast = EncoderForecaster(replace(SMALL, forecaster=forecaster, head="residual"))(clip, 4)
    torch.testing.assert_close(forecast, clip[:, -1:].expand(-1, 4, -1, -1, -1))


def test_a_new_advected_residual_network_moves_the_last_frame_on() -> None:
    clip = drifting(right=2, down=-1)
    forecast = EncoderForecaster(replace(SMALL, forecaster="advected", head="residual"))(clip[:, :5], 3)
    inside = (slice(None),) * 3 + (slice(10, 22), slice(10, 22))  # what comes in over the edge is not known
    error, copied = ((other[inside] - clip[:, 5:8][inside]).abs().mean() for other in (forecast, clip[:, 4:5]))
    assert error < 0.15 * copied


def set_bias(head: FrameHead, value: float) -> None:
    assert head.conv.bias is not None
    torch.nn.init.constant_(head.conv.bias, value)


@pytest.mark.parametrize(("forecaster", "changes"), [("unconditioned", [1, 1, 1]), ("autoregressive", [1, 2, 3])])
def test_a_residual_is_the_change_since_the_last_frame_seen(forecaster: Forecaster, changes: list[int]) -> None:
    """The last input frame, or the last forecast where that is fed back."""
    network = EncoderForecaster(replace(SMALL, forecaster=forecaster, head="residual"))
    set_bias(network.head, 0.25)
    clip = 0.25 * frames()
    expected = clip[:, -1:] + 0.25 * torch.tensor(changes).reshape(1, 3, 1, 1, 1)
    torch.testing.assert_close(network(clip, 3), expected)


def test_a_residual_forecast_is_bounded_only_outside_training() -> None:
    network = make(replace(SMALL, head="residual"))
    set_bias(network.head, 2.0)
    assert network(frames()).max() == 1.0
    assert network.train()(frames()).max() > 1.0


@pytest.mark.parametrize("forecaster", FORECASTERS)
def test_a_new_mix_starts_near_the_known_frames(forecaster: Forecaster) -> None:
    """The new one, which lies in [0, 1], has little weight beside them."""
    clip = torch.full((2, 3, 1, 8, 12), 0.3)  # still and flat, so that all known frames are one
    forecast = EncoderForecaster(replace(SMALL, forecaster=forecaster, head="mix"))(clip, 1)
    assert 0 < (forecast - clip[:, -1:]).abs().max() <= 1 / (1 + math.exp(START["last"]))


def test_a_new_mix_is_mostly_the_moved_frame() -> None:
    head = FrameHead(replace(SMALL, forecaster="advected", head="mix"))
    known = [torch.full((1, 2, 1, 8, 12), value) for value in (1.0, 0.0, 0.0)]
    assert head(torch.zeros(1, 2, 5, 2, 3), known).min() > 0.8


def test_a_mix_can_be_any_of_its_parts() -> None:
    head = FrameHead(replace(SMALL, forecaster="advected", head="mix"))
    known = [torch.full((1, 2, 1, 8, 12), value) for value in (0.9, 0.8, 0.4)]
    hidden = torch.zeros(1, 2, 5, 2, 3)
    assert head.conv.bias is not None
    new, *weights = torch.split(head.conv.bias.data, 16)  # channels of depth-to-space: all of one kind are neighbours
    new.fill_(-20.0)
    low, high = -30.0, 30.0
    for logits, expected in (
        ((high, low, low), 0.9),
        ((low, high, low), 0.8),
        ((low, low, high), 0.4),
        ((low, low, low), 0.0),
        ((high, low, high), 0.65),
    ):
        for weight, logit in zip(weights, logits, strict=True):
            weight.fill_(logit)
        torch.testing.assert_close(head(hidden, known), torch.full((1, 2, 1, 8, 12), expected))


def test_other_frame_sizes_but_with_full_peepholes() -> None:
    wide = replace(SMALL, width=24)
    for peephole in ("none", "channel"):
        assert make(replace(SMALL, peephole=peephole))(frames(wide)).shape == (2, 2, 1, 8, 24)
    with pytest.raises(UsageError, match="made for 2x3 and the state is 2x6; peephole='channel' works at any size"):
        make(replace(SMALL, peephole="full"))(frames(wide))


def test_patches_are_laid_back_where_they_came_from() -> None:
    """Depth-to-space in the head undoes space-to-depth before the encoder."""
    config = replace(SMALL, channels=3, forecaster="unconditioned", head="residual", hidden=(24, 24))
    network = EncoderForecaster(config).train()
    clip = frames(config)
    patches = network.to_patches(clip)
    assert patches.shape == (2, 3, 48, 2, 3)
    network.head.conv.weight.data.copy_(torch.eye(48)[..., None, None])
    torch.testing.assert_close(network.head(patches, [torch.zeros_like(clip)]), clip, rtol=0.0, atol=0.0)


def test_motion_is_found_in_full_precision_under_autocast() -> None:
    """In bfloat16 the equations for the motion would have two digits."""
    clip = drifting(right=1, down=1)
    network = EncoderForecaster(replace(SMALL, forecaster="advected", head="residual"))
    with torch.autocast("cpu", torch.bfloat16):
        mixed = network(clip[:, :5], 2)
    torch.testing.assert_close(mixed.float(), network(clip[:, :5], 2), atol=1e-5, rtol=0.0)


# What reaches what


@pytest.mark.parametrize("forecaster", FORECASTERS)
@pytest.mark.parametrize("peephole", KINDS)
def test_every_parameter_learns(peephole: Peephole, forecaster: Forecaster) -> None:
    network = make(replace(SMALL, peephole=peephole, forecaster=forecaster)).train()
    before = copy.deepcopy(network.state_dict())
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    network(frames()).square().mean().backward()
    optimizer.step()
    for name, value in network.state_dict().items():
        changed = value != before[name]
        # Units of the refinement are rectified, and some are zero on all of these frames.
        assert changed.float().mean() >= (0.8 if ".refinement." in name else 1.0), name


@pytest.mark.parametrize("forecaster", FORECASTERS)
def test_every_input_frame_reaches_every_forecast(forecaster: Forecaster) -> None:
    network = make(replace(SMALL, forecaster=forecaster, head="sigmoid"))
    clip = frames().requires_grad_()
    for forecast in network(clip, 3).unbind(dim=1):
        (gradient,) = torch.autograd.grad(forecast.sum(), clip, retain_graph=True)
        assert (gradient.abs().sum(dim=(0, 2, 3, 4)) > 0).all()


@pytest.mark.parametrize("forecaster", FORECASTERS)
def test_gradients(forecaster: Forecaster) -> None:
    config = ForecasterConfig(
        2, 2, 1, hidden=(1, 1), kernel_size=1, patch_size=2, peephole="full", forecaster=forecaster, head="mix"
    )
    network = make(config).double().train()
    names, values = zip(*network.named_parameters(), strict=True)
    # Neither the motion of an advected frame nor a shift by whole pixels, where a steered head begins, is smooth. So
    # this head steers nothing, and of an advected forecaster only the parameters are checked.
    clip = frames(config, batch=1, steps=2, dtype=torch.float64).requires_grad_(forecaster != "advected")

    def forecast(clip: Tensor, *values: Tensor) -> Tensor:
        forecast: Tensor = torch.func.functional_call(network, dict(zip(names, values, strict=True)), (clip, 2))
        return forecast

    assert torch.autograd.gradcheck(forecast, (clip, *values))


def test_only_the_first_forecaster_layer_differs_between_the_kinds() -> None:
    kinds = {kind: make(replace(SMALL, forecaster=kind, head="sigmoid")).state_dict() for kind in FORECASTERS}
    for kind in ("autoregressive", "advected"):
        assert kinds[kind].keys() - kinds["unconditioned"].keys() == {"forecaster.0.weight_ih"}


def test_state_dict_round_trip() -> None:
    network, other = make(SMALL), EncoderForecaster(SMALL).eval()
    other.load_state_dict(network.state_dict())
    torch.testing.assert_close(other(frames()), network(frames()), rtol=0.0, atol=0.0)


@pytest.mark.parametrize(
    ("clip", "horizon", "message"),
    [
        (frames(), 0, "--frames is 0"),
        (frames(replace(SMALL, channels=3)), 1, r"expected \(B, T >= 1, 1, H, W\)"),
        (frames()[0], 1, r"expected \(B, T >= 1, 1, H, W\)"),
        (frames()[..., :10], 1, "8x10; height and width must be multiples of --patch-size 4"),
        (frames()[:, :0], 1, "T >= 1"),
    ],
)
def test_clips_that_do_not_fit(clip: Tensor, horizon: int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(SMALL)(clip, horizon)
    with pytest.raises(UsageError, match=message):
        next(make(SMALL).stream(clip, horizon, chunk=1))


def test_a_piece_has_at_least_one_frame() -> None:
    with pytest.raises(UsageError, match="chunk is 0"):
        next(make(SMALL).stream(frames(), 2, chunk=0))


def test_dropout_drops_whole_channels_between_layers_in_training_only() -> None:
    config = replace(SMALL, dropout=0.5)
    network, x = make(config), frames(config)
    plain = make(SMALL)
    assert torch.equal(network(x), plain(x))
    kept = torch.ones(2, config.between_layers)
    assert torch.equal(network(x, dropout=kept), plain(x))
    assert not torch.equal(network(x, dropout=0.0 * kept), plain(x))

    def fed(index: int) -> Tensor:
        seen: list[Tensor] = []
        with network.encoder[index].register_forward_pre_hook(lambda _, given: seen.append(given[0])):
            network.train()(x)
        return seen[0]

    assert not (fed(0) == 0).flatten(2).all(dim=2).any()  # frames are whole
    torch.manual_seed(1)
    dropped = fed(1) == 0  # (B, T, hidden, H, W)
    assert dropped.any()
    assert torch.equal(dropped, dropped[:, :1, :, :1, :1].expand_as(dropped))


@pytest.mark.parametrize("forecaster", FORECASTERS)
def test_dilated_normalised_and_dropped_layers_learn(forecaster: Forecaster) -> None:
    config = replace(SMALL, forecaster=forecaster, dilation=2, layer_norm=True, dropout=0.3)
    network = make(config)
    assert network.encoder[1].weight_ih.shape == make(SMALL).encoder[1].weight_ih.shape
    network.train()(frames(config)).sum().backward()
    assert all(parameter.grad is not None for parameter in network.parameters())
    with pytest.raises(UsageError, match="layer normalisations"):
        network(torch.zeros(1, 3, 1, 16, 12))
    state = network.eval().start(frames(config))
    for frame in frames(config).unbind(dim=1):
        state = network.read(frame, state)
    assert torch.allclose(network.step(state)[0], network(frames(config), 1)[:, 0], atol=1e-5)


def test_frames_of_another_type_than_that_of_the_weights_are_named() -> None:
    network = EncoderForecaster(ForecasterConfig(height=8, width=8, channels=1, hidden=(2,)))
    with pytest.raises(UsageError, match=r"frames has the type torch.uint8 and the weights have torch.float32"):
        network(torch.zeros(1, 2, 1, 8, 8, dtype=torch.uint8), 1)
