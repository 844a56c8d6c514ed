"""`ConvLSTMStack` beside torch.nn.LSTM at 1x1, for each of its options."""

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ConvLSTM, ConvLSTMStack

OPTIONS: dict[str, dict[str, Any]] = {
    "one layer": {},
    "two layers": {"num_layers": 2},
    "both directions": {"bidirectional": True},
    "two layers, both directions": {"num_layers": 2, "bidirectional": True},
    "time first": {"num_layers": 2, "bidirectional": True, "batch_first": False},
    "without bias": {"num_layers": 2, "bias": False},
}


def pair(**options: Any) -> tuple[ConvLSTMStack, Any]:
    """A stack of 1x1 kernels and torch's own, with the same weights in float64."""
    torch.manual_seed(0)
    theirs: Any = nn.LSTM(2, 3, **{"batch_first": True, **options}, dtype=torch.float64)
    ours = ConvLSTMStack(2, 3, 1, peephole="none", dtype=torch.float64, **options)
    for names, part in (("", ours.layers), ("_reverse", ours.reverse_layers or ())):
        for index, layer in enumerate(part):
            assert isinstance(layer, ConvLSTM)
            assert layer.weight_ih is not None
            with torch.no_grad():
                layer.weight_ih.copy_(getattr(theirs, f"weight_ih_l{index}{names}")[..., None, None])
                layer.weight_hh.copy_(getattr(theirs, f"weight_hh_l{index}{names}")[..., None, None])
                if layer.bias is not None:
                    layer.bias.copy_(getattr(theirs, f"bias_ih_l{index}{names}"))
                    getattr(theirs, f"bias_hh_l{index}{names}").zero_()
    return ours, theirs


def frames(batch_first: bool = True, batch: int = 3, steps: int = 5) -> Tensor:
    x = torch.randn(batch, steps, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    return x if batch_first else x.transpose(0, 1).contiguous()


def wide(x: Tensor) -> Tensor:
    return x[..., None, None]


def same(ours: Any, theirs: Any, stack: ConvLSTMStack, lstm: Any) -> None:
    """That outputs, states and the gradients to all weights are the same."""
    (outputs, (h, c)), (expected, (h_lstm, c_lstm)) = ours, theirs
    narrow = [part.flatten(-3) for part in (outputs, h, c)]
    torch.testing.assert_close(narrow, [expected, h_lstm, c_lstm])
    loss: Any = [
        sum((part * torch.linspace(-1, 1, part.numel()).view_as(part)).sum() for part in parts)
        for parts in (narrow, (expected, h_lstm, c_lstm))
    ]
    ours_wanted = dict(stack.named_parameters())
    theirs_wanted = {name: parameter for name, parameter in lstm.named_parameters() if "bias_hh" not in name}
    mine = torch.autograd.grad(loss[0], list(ours_wanted.values()))
    other = torch.autograd.grad(loss[1], list(theirs_wanted.values()))
    # Theirs come layer by layer with its directions, ours direction by direction.
    by_direction = sorted(zip(theirs_wanted, other, strict=True), key=lambda pair: pair[0].endswith("_reverse"))
    for one, (name, two) in zip(mine, by_direction, strict=True):
        torch.testing.assert_close(one.view_as(two), two, msg=name)


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.parametrize("given", ["zeros", "both"])
def test_it_is_torch_lstm(options: dict[str, Any], given: str) -> None:
    stack, lstm = pair(**options)
    x = frames(stack.batch_first)
    state = None
    if given == "both":
        count = stack.num_layers * (1 + stack.bidirectional)
        state = tuple(torch.randn(count, 3, 3, dtype=torch.float64) for _ in range(2))
    same(stack(wide(x), state and tuple(map(wide, state))), lstm(x, state), stack, lstm)


@pytest.mark.parametrize("options", [{"num_layers": 2, "bidirectional": True}, {"batch_first": False}])
@pytest.mark.parametrize("ordered", [True, False])
def test_padded_and_packed_batches_are_those_of_torch(options: dict[str, Any], ordered: bool) -> None:
    stack, lstm = pair(**options)
    x = frames(stack.batch_first)
    lengths = torch.tensor([5, 3, 1] if ordered else [2, 5, 3])
    packing: Any = {"batch_first": stack.batch_first, "enforce_sorted": ordered}
    packed = pack_padded_sequence(x, lengths, **packing)
    expected, last = lstm(packed)
    padded, _ = pad_packed_sequence(expected, batch_first=stack.batch_first)
    same(stack(wide(x), lengths=lengths), (padded, last), stack, lstm)

    outputs, state = stack(pack_padded_sequence(wide(x), lengths, **packing))
    assert isinstance(outputs, PackedSequence)
    torch.testing.assert_close(outputs.data.flatten(1), expected.data)
    torch.testing.assert_close(tuple(part.flatten(-3) for part in state), last)
    orders: Any = zip(outputs[1:], expected[1:], strict=True)
    assert all(one is other or torch.equal(one, other) for one, other in orders)


def test_one_sequence_needs_no_batch() -> None:
    stack, lstm = pair(num_layers=2, bidirectional=True)
    x = frames()[0]
    state = tuple(torch.randn(4, 3, dtype=torch.float64) for _ in range(2))
    same(stack(wide(x)), lstm(x), stack, lstm)
    same(stack(wide(x), tuple(map(wide, state))), lstm(x, state), stack, lstm)


def test_a_part_of_the_state_may_be_left_out() -> None:
    stack, _ = pair(num_layers=2)
    h = torch.randn(2, 3, 3, 1, 1, dtype=torch.float64)
    zeros = torch.zeros_like(h)
    x = wide(frames())
    torch.testing.assert_close(stack(x, (h, None)), stack(x, (h, zeros)))
    torch.testing.assert_close(stack(x, (None, h)), stack(x, (zeros, h)))


def test_dropout_acts_between_layers_in_training() -> None:
    stack, lstm = pair(num_layers=2, dropout=0.5)
    x = frames()
    first = stack.layers[0](wide(x))[0]
    torch.manual_seed(3)
    expected = stack.layers[1](torch.nn.functional.dropout(first, 0.5))[0]
    torch.manual_seed(3)
    assert torch.equal(stack(wide(x))[0], expected)
    stack.eval(), lstm.eval()
    same(stack(wide(x)), lstm(x), stack, lstm)


def test_every_layer_has_the_other_options() -> None:
    stack = ConvLSTMStack(
        2, 3, (3, 2), 2, bidirectional=True, input_dropout=0.2, peephole="full", image_size=(4, 5), layer_norm=True,
        data_format="channels_last",
    )  # fmt: skip
    assert stack.reverse_layers is not None
    for index, layer in enumerate((*stack.layers, *stack.reverse_layers)):
        assert isinstance(layer, ConvLSTM)
        assert layer.in_channels == (2, 6)[index % 2]
        assert (layer.kernel_size, layer.dropout, layer.peephole, layer.layer_norm) == ((3, 2), 0.2, "full", True)
    outputs, (h, c) = stack(torch.randn(2, 3, 4, 5, 2))
    assert outputs.shape == (2, 3, 4, 5, 6)
    assert h.shape == c.shape == (4, 2, 4, 5, 3)


def test_a_masked_step_is_masked_in_both_directions() -> None:
    stack, _ = pair(num_layers=2, bidirectional=True)
    x, mask = wide(frames()), torch.tensor([[True, False, True, True, True]] * 3)
    outputs, state = stack(x, mask=mask)
    seen = x[:, [0, 2, 3, 4]]
    expected, expected_state = stack(seen)
    torch.testing.assert_close((outputs[:, [0, 2, 3, 4]], state), (expected, expected_state))


def test_compiled_exported_and_copied() -> None:
    stack, _ = pair(bidirectional=True)
    x = wide(frames(steps=2))
    expected = stack(x)
    torch.testing.assert_close(torch.compile(stack, backend="eager", fullgraph=True)(x), expected)
    torch.testing.assert_close(torch.export.export(stack, (x,)).module()(x), expected)
    torch.testing.assert_close(copy.deepcopy(stack)(x), expected, rtol=0.0, atol=0.0)
    stack.flatten_parameters()
    stack.reset_parameters()
    assert not torch.allclose(stack(x)[0], expected[0])


def test_its_repr_shows_what_is_not_the_default() -> None:
    assert (
        ConvLSTMStack(2, 3, num_layers=2, bidirectional=True).extra_repr() == "2, 3, num_layers=2, bidirectional=True"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_layers": 0}, "num_layers is 0"),
        ({"in_channels": 0}, "in_channels is 0"),
        ({"dropout": 1.5}, "dropout is 1.5"),
        ({"go_backwards": True}, "go_backwards is an option of one ConvLSTM"),
        ({"kernel_size": 0}, "kernel_size is 0"),
    ],
)
def test_options_that_make_no_stack(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ConvLSTMStack(**{"in_channels": 2, "hidden_channels": 3, **options})


def test_calls_that_do_not_fit() -> None:
    x = torch.zeros(1, 2, 2, 8, 8)
    with pytest.raises(UsageError, match="expected 2, one for each of 2 layers"):
        ConvLSTMStack(2, 3, num_layers=2)(x, (torch.zeros(1, 1, 3, 8, 8), None))
    with pytest.raises(UsageError, match="differ in size"):
        ConvLSTMStack(2, 3, num_layers=2, stride=2)(x)
    with pytest.raises(UsageError, match="x has shape"):
        ConvLSTMStack(1, 3)(x)
    with pytest.raises(UsageError, match="a PackedSequence has lengths of its own"):
        ConvLSTMStack(2, 3)(pack_padded_sequence(x, [2], batch_first=True), lengths=torch.tensor([2]))
