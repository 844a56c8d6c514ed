"""`ConvLSTM`: what a sequence gives, how it trains, and its edges."""

import copy
import shutil
from typing import Any, get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ConvLSTM
from convlstm_cli.nn.calls import check_type
from convlstm_cli.nn.cell import cell_step
from convlstm_cli.nn.config import Peephole
from convlstm_cli.nn.stepwise import State

KINDS = get_args(Peephole)
SIZE = (4, 5)


def make(
    peephole: Peephole = "channel", in_channels: int = 2, hidden: int = 3, kernel: int = 3, **options: Any
) -> ConvLSTM:
    """A layer whose peepholes and biases are not zero."""
    torch.manual_seed(0)
    options = {"image_size": SIZE, "peephole_init": "uniform", **options}
    layer = ConvLSTM(in_channels, hidden, kernel, peephole=peephole, **options)
    assert layer.bias is not None
    torch.nn.init.normal_(layer.bias, generator=torch.Generator().manual_seed(2))
    return layer


def frames(batch: int = 2, steps: int = 3, channels: int = 2, size: tuple[int, int] = SIZE, **options: Any) -> Tensor:
    return torch.randn(batch, steps, channels, *size, generator=torch.Generator().manual_seed(1), **options)


def same(
    ours: tuple[Tensor, State], theirs: tuple[Tensor, State], rtol: float | None = None, atol: float | None = None
) -> None:
    torch.testing.assert_close(ours[0], theirs[0], rtol=rtol, atol=atol)
    torch.testing.assert_close(ours[1], theirs[1], rtol=rtol, atol=atol)


# What a sequence gives


@pytest.mark.parametrize("peephole", KINDS)
def test_a_sequence_is_the_cell_step_by_step(peephole: Peephole) -> None:
    layer, x = make(peephole), frames()
    outputs, (h_last, c_last) = layer(x)
    assert outputs.shape == (2, 3, 3, *SIZE)

    h = c = torch.zeros(2, 3, *SIZE)
    for t in range(3):
        h, c = cell_step(x[:, t], h, c, layer.weights, layer.rules)
        torch.testing.assert_close(outputs[:, t], h)
    torch.testing.assert_close((h_last, c_last), (h, c))


@settings(max_examples=20, deadline=None)
@given(peephole=st.sampled_from(KINDS), lengths=st.lists(st.integers(1, 3), min_size=1, max_size=4))
def test_state_passed_on_equals_one_long_call(peephole: Peephole, lengths: list[int]) -> None:
    layer, x = make(peephole).double(), frames(steps=sum(lengths), dtype=torch.float64)
    outputs, state = [], None
    for part in torch.split(x, lengths, dim=1):
        output, state = layer(part, state)
        outputs.append(output)
    assert state is not None
    same((torch.cat(outputs, dim=1), state), layer(x), rtol=0.0, atol=0.0)


def test_nothing_is_kept_between_calls() -> None:
    layer, x = make(), frames()
    first = layer(x)
    layer(frames(batch=1, steps=7))
    same(layer(x), first, rtol=0.0, atol=0.0)
    assert not dict(layer.named_buffers())


def test_a_call_changes_neither_input_nor_state() -> None:
    layer, x = make(), frames()
    state = torch.randn(2, 3, *SIZE), torch.randn(2, 3, *SIZE)
    before = copy.deepcopy((x, state))
    layer(x, state)
    torch.testing.assert_close((x, state), before, rtol=0.0, atol=0.0)


def test_a_layer_without_input_unrolls_from_its_state() -> None:
    layer = make(in_channels=0)
    state = torch.randn(2, 3, *SIZE), torch.randn(2, 3, *SIZE)
    outputs, last = layer(None, state, steps=4)
    assert outputs.shape == (2, 4, 3, *SIZE)
    assert layer.weight_ih is None
    assert "weight_ih" not in layer.state_dict()
    half, between = layer(None, state, steps=2)
    rest, end = layer(None, between, steps=2)
    same((torch.cat([half, rest], dim=1), end), (outputs, last), rtol=0.0, atol=0.0)


def test_valid_padding_shrinks_the_state() -> None:
    layer = make(padding="valid", image_size=None, kernel=3)
    outputs, (h, c) = layer(frames())
    assert outputs.shape[-2:] == h.shape[-2:] == c.shape[-2:] == layer.state_size(*SIZE) == (2, 3)


def test_items_of_a_batch_do_not_meet() -> None:
    layer, x = make(), frames(batch=3)
    whole, _ = layer(x)
    torch.testing.assert_close(torch.cat([layer(x[i : i + 1])[0] for i in range(3)]), whole)


# The dense case: 1x1 kernels on 1x1 images


def dense(peephole: Peephole, **options: Any) -> ConvLSTM:
    return make(peephole, kernel=1, image_size=(1, 1), **options).double()


def test_without_peepholes_it_is_torch_lstm() -> None:
    layer = dense("none")
    lstm: Any = torch.nn.LSTM(2, 3, batch_first=True, dtype=torch.float64)
    assert layer.weight_ih is not None
    with torch.no_grad():
        lstm.weight_ih_l0.copy_(layer.weight_ih[:, :, 0, 0])
        lstm.weight_hh_l0.copy_(layer.weight_hh[:, :, 0, 0])
        lstm.bias_ih_l0.copy_(layer.bias)
        lstm.bias_hh_l0.zero_()
    x = torch.randn(2, 12, 2, dtype=torch.float64)
    h, c = torch.randn(2, 3, dtype=torch.float64), torch.randn(2, 3, dtype=torch.float64)

    outputs, (h_last, c_last) = layer(x[..., None, None], (h[..., None, None], c[..., None, None]))
    expected, (h_lstm, c_lstm) = lstm(x, (h[None], c[None]))
    torch.testing.assert_close(outputs[..., 0, 0], expected)
    torch.testing.assert_close((h_last[..., 0, 0], c_last[..., 0, 0]), (h_lstm[0], c_lstm[0]))

    outputs.square().sum().backward()
    expected.square().sum().backward()
    assert layer.weight_ih.grad is not None
    assert layer.weight_hh.grad is not None
    torch.testing.assert_close(layer.weight_ih.grad[:, :, 0, 0], lstm.weight_ih_l0.grad)
    torch.testing.assert_close(layer.weight_hh.grad[:, :, 0, 0], lstm.weight_hh_l0.grad)
    assert layer.bias is not None
    torch.testing.assert_close(layer.bias.grad, lstm.bias_ih_l0.grad)


def test_on_one_position_full_and_channel_are_the_same() -> None:
    full, channel = dense("full"), dense("channel")
    x = frames(size=(1, 1), dtype=torch.float64)
    assert full.state_dict().keys() == channel.state_dict().keys()
    channel.load_state_dict(full.state_dict())
    same(full(x), channel(x), rtol=0.0, atol=0.0)


# Peepholes are parameters


@pytest.mark.parametrize(("peephole", "shape"), [("channel", (3, 1, 1)), ("full", (3, *SIZE))])
def test_peepholes_are_parameters_that_train(peephole: Peephole, shape: tuple[int, ...]) -> None:
    layer = make(peephole, peephole_init="zeros")
    names = {"peephole_i", "peephole_f", "peephole_o"}
    parameters = dict(layer.named_parameters())
    assert names <= parameters.keys()
    assert names <= layer.state_dict().keys()
    assert all(parameters[name].is_leaf and parameters[name].shape == shape for name in names)

    optimizer = torch.optim.SGD(layer.parameters(), lr=0.1)
    layer(frames())[0].square().mean().backward()
    optimizer.step()
    for name in names:
        gradient = parameters[name].grad
        assert gradient is not None
        assert gradient.abs().min() > 0
        torch.testing.assert_close(parameters[name], -0.1 * gradient)  # they started at zero


def test_without_peepholes_there_are_none() -> None:
    layer = make("none")
    assert set(layer.state_dict()) == {"weight_ih", "weight_hh", "bias"}
    assert layer.weights.peepholes is None


def test_zero_peepholes_start_as_the_plain_cell() -> None:
    """The same seed draws the same values for everything else, so that two arms of a comparison match."""
    plain = make("none")
    for kind in ("channel", "full"):
        layer = make(kind, peephole_init="zeros")
        same(layer(frames()), plain(frames()))


def test_uniform_peepholes_are_glorot_over_the_channels() -> None:
    bound = (3.0 / 200) ** 0.5
    peepholes = ConvLSTM(1, 200, 1, peephole_init="uniform").weights.peepholes
    assert peepholes is not None
    for peephole in peepholes:
        assert 0.95 * bound < peephole.abs().max() <= bound


def test_initial_values() -> None:
    layer = ConvLSTM(2, 4, 3, forget_bias=0.5)
    assert layer.bias is not None
    assert layer.bias.tolist() == [0.0] * 4 + [0.5] * 4 + [0.0] * 8
    rows = layer.weight_hh.flatten(1)
    torch.testing.assert_close(rows @ rows.T, torch.eye(16), rtol=0.0, atol=1e-5)
    assert layer.weight_ih is not None
    assert layer.weight_ih.abs().max() <= (6.0 / (9 * (2 + 16))) ** 0.5


def test_gers_rule_changes_gradients_and_not_values() -> None:
    x = frames()
    free, ruled = make("full"), make("full", detach_peepholes=True)
    same(free(x), ruled(x), rtol=0.0, atol=0.0)
    for layer in (free, ruled):
        layer(x)[0].sum().backward()
    assert free.weight_hh.grad is not None
    assert ruled.weight_hh.grad is not None
    assert not torch.allclose(free.weight_hh.grad, ruled.weight_hh.grad)


def test_gers_rule_reaches_further_only_through_the_states() -> None:
    """With one step from a zero state there is nothing for the rule to cut but W_co's path into c."""
    free, ruled = make("channel"), make("channel", detach_peepholes=True)
    for layer in (free, ruled):
        with torch.no_grad():
            layer.weights.peepholes.o.zero_()  # type: ignore[union-attr]
        layer(frames(steps=1))[0].sum().backward()
    for one, other in zip(free.parameters(), ruled.parameters(), strict=True):
        torch.testing.assert_close(one.grad, other.grad)


def test_cell_clip_bounds_the_cell_state() -> None:
    _, (_, c) = make(cell_clip=0.1)(10 * frames())
    assert c.abs().max().item() == pytest.approx(0.1)


# Moves, copies and files


@pytest.mark.parametrize("peephole", KINDS)
def test_state_dict_round_trip(peephole: Peephole) -> None:
    layer = make(peephole)
    other = ConvLSTM(2, 3, peephole=peephole, image_size=SIZE)
    other.load_state_dict(layer.state_dict())
    same(other(frames()), layer(frames()), rtol=0.0, atol=0.0)


def test_a_deep_copy_is_equal_and_apart() -> None:
    layer = make()
    twin = copy.deepcopy(layer)
    expected = layer(frames())
    same(twin(frames()), expected, rtol=0.0, atol=0.0)
    with torch.no_grad():
        for parameter in twin.parameters():
            parameter.zero_()
    same(layer(frames()), expected, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("peephole", KINDS)
def test_other_precisions(peephole: Peephole, dtype: torch.dtype) -> None:
    expected = make(peephole).double()(frames().double())
    layer = make(peephole).to(dtype)
    assert {parameter.dtype for parameter in layer.parameters()} == {dtype}
    outputs, (h, c) = layer(frames().to(dtype))
    assert {outputs.dtype, h.dtype, c.dtype} == {dtype}
    tolerance = {torch.float64: 1e-12, torch.bfloat16: 0.05, torch.float16: 0.01}[dtype]
    same((outputs.double(), (h.double(), c.double())), expected, rtol=tolerance, atol=tolerance)


@pytest.mark.gpu
@pytest.mark.parametrize("peephole", KINDS)
def test_on_an_accelerator(peephole: Peephole) -> None:
    if not torch.accelerator.is_available():
        pytest.skip("no accelerator here")
    device = torch.accelerator.current_accelerator()
    assert device is not None
    layer = make(peephole)
    expected = layer(frames())
    layer.to(device)
    assert all(parameter.is_leaf and parameter.device.type == device.type for parameter in layer.parameters())
    outputs, (h, c) = layer(frames().to(device))
    outputs.sum().backward()
    assert all(parameter.grad is not None for parameter in layer.parameters())
    same((outputs.cpu(), (h.cpu(), c.cpu())), expected, rtol=1e-3, atol=1e-3)


def test_exported() -> None:
    layer = make().eval()
    batch, height = torch.export.Dim("batch"), torch.export.Dim("height", min=3)
    program = torch.export.export(layer, (frames(),), dynamic_shapes={"x": {0: batch, 3: height}})
    for x in (frames(), frames(batch=5, size=(9, 5))):
        same(program.module()(x), layer(x))


@pytest.mark.parametrize("peephole", KINDS)
def test_compiled(peephole: Peephole) -> None:
    layer = make(peephole)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    same(compiled(frames()), layer(frames()))
    compiled(frames())[0].sum().backward()
    gradients = [parameter.grad.clone() for parameter in layer.parameters() if parameter.grad is not None]
    layer.zero_grad()
    layer(frames())[0].sum().backward()
    for parameter, gradient in zip(layer.parameters(), gradients, strict=True):
        torch.testing.assert_close(parameter.grad, gradient)


@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated")  # inductor's own call
@pytest.mark.skipif(shutil.which("g++") is None, reason="inductor compiles C++ on a CPU; no g++ here")
def test_compiled_by_inductor() -> None:
    layer, x = make(), frames(steps=1)
    with torch.no_grad():
        same(torch.compile(layer, fullgraph=True)(x), layer(x))


# Edges


@pytest.mark.parametrize("peephole", KINDS)
def test_one_step_on_one_pixel(peephole: Peephole) -> None:
    layer = make(peephole, image_size=(1, 1), kernel=5)
    outputs, (h, c) = layer(frames(batch=1, steps=1, size=(1, 1)))
    assert outputs.shape == (1, 1, 3, 1, 1)
    torch.testing.assert_close(outputs[:, 0], h)
    assert c.shape == (1, 3, 1, 1)


@pytest.mark.parametrize("peephole", KINDS)
def test_an_empty_batch(peephole: Peephole) -> None:
    layer = make(peephole)
    outputs, (h, c) = layer(frames(batch=0))
    assert outputs.shape == (0, 3, 3, *SIZE)
    assert h.shape == c.shape == (0, 3, *SIZE)
    outputs.sum().backward()
    assert all(parameter.grad is not None and not parameter.grad.any() for parameter in layer.parameters())


def test_memory_layout_does_not_matter() -> None:
    layer, x = make(), frames()
    expected = layer(x)
    strided = frames(steps=6)
    strided[:, ::2] = x
    last = x.permute(0, 1, 3, 4, 2).contiguous().permute(0, 1, 4, 2, 3)
    state = tuple(torch.zeros(2, 3, *SIZE).to(memory_format=torch.channels_last) for _ in range(2))
    for view in (strided[:, ::2], last):
        assert not view.is_contiguous()
        same(layer(view), expected)
        same(layer(view, state), expected)
    converted: Any = layer.to
    same(converted(memory_format=torch.channels_last)(last), expected)


@pytest.mark.parametrize("kernel", [0, -1, (3, 0), (3,), (3, 3, 3)])
@pytest.mark.parametrize("option", ["kernel_size", "recurrent_kernel_size", "stride", "dilation"])
def test_sides_that_are_none(option: str, kernel: Any) -> None:
    with pytest.raises(UsageError, match=f"{option} is .*at least 1"):
        ConvLSTM(2, 3, **{option: kernel})


def test_full_at_another_size_says_which_and_the_way_out() -> None:
    layer = make("full")
    with pytest.raises(UsageError, match="made for 4x5 and the state is 6x5; peephole='channel' works at any size"):
        layer(frames(size=(6, 5)))
    other = torch.zeros(2, 3, 6, 5)
    with pytest.raises(UsageError, match="made for 4x5 and the state is 6x5"):
        layer(frames(size=(6, 5)), (other, other))
    assert make("channel")(frames(size=(6, 5)))[0].shape[-2:] == (6, 5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"peephole": "full", "image_size": None}, "needs image_size"),
        ({"peephole": "diagonal"}, "choose one of none, channel, full"),
        ({"gate_activation": "hard_sigmoid"}, "hard_sigmoid_keras3, hard_sigmoid_keras2"),
        ({"peephole_init": "ones"}, "choose one of zeros, uniform"),
        ({"padding": "reflect"}, "choose one of same, valid"),
        ({"cell_clip": 0.0}, "cell_clip is 0.0"),
        ({"hidden": 0}, "hidden_channels 0"),
        ({"in_channels": -1}, "in_channels is -1"),
    ],
)
def test_options_that_make_no_layer(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make(**options)


def test_calls_that_do_not_fit() -> None:
    layer, alone = make(), make(in_channels=0)
    state = torch.zeros(2, 3, *SIZE), torch.zeros(2, 3, *SIZE)
    calls: list[tuple[ConvLSTM, tuple[Any, ...], dict[str, Any], str]] = [
        (layer, (None,), {}, "reads 2 input channels"),
        (layer, (frames(channels=3),), {}, r"x has shape \(2, 3, 3, 4, 5\); expected \(B, T, 2, H, W\)"),
        (layer, (frames()[0, 0],), {}, r"expected \(B, T, 2, H, W\)"),
        (layer, (frames(),), {"steps": 3}, "steps goes with x=None"),
        (layer, (frames()[:, :0],), {}, "at least one time step"),
        (layer, (frames(batch=1), state), {}, r"this input needs \(1, 3, 4, 5\)"),
        (layer, (frames(), (state[0], state[1][:, :2])), {}, "the state has shapes"),
        (alone, (None,), {"steps": 3}, "needs a state"),
        (alone, (None, state), {}, "the number of steps"),
        (alone, (None, state), {"steps": 0}, "at least one time step"),
        (make(padding="valid", kernel=7, image_size=None), (frames(),), {}, "smaller than the kernel"),
    ]
    for module, arguments, keywords, message in calls:
        with pytest.raises(UsageError, match=message):
            module(*arguments, **keywords)


def test_its_repr_says_what_it_is() -> None:
    assert repr(make("full")).startswith("ConvLSTM(2, 3, kernel_size=(3, 3)")
    assert "peephole='full'" in repr(make("full"))


@pytest.mark.parametrize("name", ["x", "h_0", "c_0"])
def test_another_type_than_that_of_the_weights_is_named(name: str) -> None:
    state = torch.zeros(1, 3, *SIZE)
    given = {"x": torch.zeros(1, 2, 2, *SIZE), "h_0": state, "c_0": state}
    given[name] = given[name].double()
    with pytest.raises(
        UsageError, match=rf"{name} has the type torch.float64 and the weights have torch.float32; give {name}\.to"
    ):
        make()(given["x"], (given["h_0"], given["c_0"]))
    with torch.autocast("cpu", torch.bfloat16):  # brings both to one type
        check_type(name, given[name], make().weight_hh)
    with pytest.raises(UsageError, match=name):  # torch knows no autocast there
        check_type(name, given[name].to("meta"), make().weight_hh.to("meta"))


@pytest.mark.parametrize(("kernel", "hidden"), [(3.0, 3), ("3", 3), (3, [3]), (3, 3.5)])
def test_sizes_that_are_no_whole_numbers_are_named(kernel: Any, hidden: Any) -> None:
    with pytest.raises(UsageError, match="whole number"):
        ConvLSTM(2, hidden, kernel)
