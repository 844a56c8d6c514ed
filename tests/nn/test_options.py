"""The options of `ConvLSTM`, in drawn combinations, beside the plain layer of tests/plain_layer.py."""

import copy
import pickle
from pathlib import Path
from typing import Any

import plain_layer
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from convlstm_cli.errors import UsageError
from convlstm_cli.nn import ConvLSTM, recurrence
from convlstm_cli.nn.activations import ACTIVATIONS
from convlstm_cli.nn.dropout import DropoutMasks

SIZES = {1: (7,), 2: (4, 5), 3: (2, 3, 4)}


def make(dimensions: int = 2, **options: Any) -> ConvLSTM:
    """A layer of 2 to 3 channels in float64, all of whose parameters are drawn."""
    torch.manual_seed(0)
    layer = ConvLSTM(2, 3, **{"dimensions": dimensions, "dtype": torch.float64, **options})
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.5)
    return layer


def frames(batch: int = 2, steps: int = 3, dimensions: int = 2) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, steps, 2, *SIZES[dimensions], dtype=torch.float64, generator=generator)


def beside(layer: ConvLSTM, x: Tensor, **call: Any) -> None:
    """That outputs, states and all gradients of a layer are those of the plain one."""
    leaves = dict(layer.named_parameters()) | {"x": x.clone().requires_grad_()}
    state = call.pop("state", None)
    outputs, (h, c) = layer(leaves["x"], state, **call)
    lengths, mask, masks = call.get("lengths"), call.get("mask"), call.get("dropout_masks", DropoutMasks(None, None))
    items = []
    for item, sequence in enumerate(leaves["x"]):
        plain = plain_layer.Plain(
            {name: leaf for name, leaf in leaves.items() if name != "x"},
            layer.hidden_channels,
            layer.padding,
            layer.stride,
            layer.dilation,
            str(layer.activation),
            str(layer.gate_activation),
            layer.cell_clip or float("inf"),
            layer.zoneout,
            {name: part[item] for name, part in zip("xh", masks, strict=True) if part is not None},
        )
        steps = len(sequence) if lengths is None else int(lengths[item])
        order = range(steps)[:: -1 if layer.go_backwards else 1]
        seen = None if mask is None else [bool(mask[item, t]) for t in order]
        start = tuple(None if part is None else part[item] for part in state or (None, None))
        out, *last = plain.run(sequence[list(order)], start, seen)  # type: ignore[arg-type]
        items.append([torch.cat([out, out.new_zeros(len(sequence) - steps, *out.shape[1:])]), *last])
    expected = [torch.stack(part) for part in zip(*items, strict=True)]
    torch.testing.assert_close([outputs, h, c], expected)
    weigh = [torch.randn(part.shape, dtype=part.dtype) for part in expected]
    wanted = list(leaves.values())
    ours, theirs = (
        torch.autograd.grad([(part * w).sum() for part, w in zip(parts, weigh, strict=True)], wanted, allow_unused=True)
        for parts in ([outputs, h, c], expected)
    )
    for name, one, other in zip(leaves, ours, theirs, strict=True):
        none = torch.zeros_like(leaves[name])
        torch.testing.assert_close(none if one is None else one, none if other is None else other, msg=name)


OPTIONS = st.fixed_dictionaries(
    {
        "peephole": st.sampled_from(["none", "channel", "full"]),
        "bias": st.booleans(),
        "activation": st.sampled_from(["tanh", "softsign", "relu"]),
        "gate_activation": st.sampled_from(["sigmoid", "hard_sigmoid_keras2"]),
        "zoneout": st.sampled_from([0.0, (0.2, 0.4)]),
        "layer_norm": st.booleans(),
        "cell_clip": st.sampled_from([None, 0.4]),
        "go_backwards": st.booleans(),
    }
)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(
    dimensions=st.integers(1, 3),
    kernel=st.tuples(*[st.integers(1, 3)] * 3),
    recurrent=st.tuples(*[st.integers(1, 4)] * 3),
    stride=st.sampled_from([(1, 1, 1), (2, 1, 2), (1, 2, 3)]),
    dilation=st.sampled_from([(1, 1, 1), (1, 1, 2), (2, 2, 1)]),
    padding=st.sampled_from(["same", "valid", ((0, 2), (3, 1), (1, 1))]),
    options=OPTIONS,
    masked=st.booleans(),
    padded=st.booleans(),
    dropped=st.booleans(),
    start=st.sampled_from(["zeros", "both", "h", "c"]),
    seed=st.integers(0, 1000),
)
def test_a_layer_is_the_plain_one(
    dimensions: int,
    kernel: tuple[int, ...],
    recurrent: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: Any,
    options: dict[str, Any],
    masked: bool,
    padded: bool,
    dropped: bool,
    start: str,
    seed: int,
) -> None:
    sides: dict[str, Any] = {
        "kernel_size": kernel[:dimensions],
        "recurrent_kernel_size": recurrent[:dimensions],
        "stride": stride[:dimensions],
        "dilation": dilation[:dimensions],
        "padding": padding if isinstance(padding, str) else padding[:dimensions],
    }
    size = make(dimensions, **sides).state_size(*SIZES[dimensions])
    if min(size) < 1:
        return
    rates: Any = {"dropout": 0.3, "recurrent_dropout": 0.4} if dropped else {}
    layer = make(dimensions, **sides, **options, **rates, image_size=size).eval()
    torch.manual_seed(seed)
    x = frames(dimensions=dimensions)
    call: dict[str, Any] = {}
    if masked:
        call["mask"] = torch.rand(2, 3) < 0.6
    if padded:
        call["lengths"] = torch.randint(1, 4, (2,))
    if dropped:
        call["dropout_masks"] = layer.draw_dropout(x)
    if start != "zeros":
        call["state"] = [torch.randn(2, 3, *size).double() if start in (part, "both") else None for part in "hc"]
    beside(layer, x, **call)


@pytest.mark.parametrize("name", ["tanh", *(name for name in ACTIVATIONS if name != "linear")])
def test_an_activation_is_a_name_or_a_function(name: str) -> None:
    x = frames(steps=1)
    by_name, by_function = make(activation=name), make(activation=ACTIVATIONS[name])
    torch.testing.assert_close(by_name(x), by_function(x))
    if name != "tanh":
        assert not torch.allclose(by_name(x)[0], make()(x)[0])


def test_a_function_as_gate_activation() -> None:
    torch.testing.assert_close(make(gate_activation=torch.sigmoid)(frames()), make()(frames()))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_initial_values_are_those_of_float32(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    layer = ConvLSTM(2, 3, dtype=dtype, layer_norm=True, image_size=(4, 5))
    rows = layer.weight_hh.flatten(1).double()
    torch.testing.assert_close(rows @ rows.T, torch.eye(12).double(), rtol=0.0, atol=0.02)
    assert layer(frames().to(dtype))[0].dtype == dtype


@pytest.mark.parametrize(
    ("padding", "kernel", "meant"),
    [
        (1, 3, "same"),
        ((1, 2), (3, 5), "same"),
        (0, 3, "valid"),
        (((0, 1), 1), (2, 3), "same"),
        (2, 3, ((2, 2), (2, 2))),
        (((1, 0), 1), (2, 3), ((1, 0), (1, 1))),
    ],
)
def test_padding_in_numbers_may_have_a_name(padding: Any, kernel: Any, meant: Any) -> None:
    assert ConvLSTM(2, 3, kernel, padding=padding).rules.padding == meant
    assert ConvLSTM(2, 3, kernel, padding=padding, stride=2).rules.padding != "same"


def test_without_bias_the_fast_way_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    layer = make(bias=False)
    assert "bias" not in layer.state_dict()
    with monkeypatch.context() as patch:
        patch.setattr(recurrence, "step_by_step", None)
        outputs = layer(frames())
    with monkeypatch.context() as patch:
        patch.setattr(recurrence, "is_covered", lambda *_: False)
        torch.testing.assert_close(outputs, layer(frames()))


# Draws


def test_dropout_is_drawn_in_training_alone_and_once_for_all_steps() -> None:
    layer, x = make(dropout=0.5, recurrent_dropout=0.5), frames()
    masks = layer.draw_dropout(x)
    assert masks.x is not None
    assert masks.h is not None
    assert masks.x.shape == (2, 8, 4, 5)
    assert masks.h.shape == (2, 12, 4, 5)
    assert set(masks.x.flatten().tolist()) == set(masks.h.flatten().tolist()) == {0.0, 2.0}
    torch.manual_seed(3)
    drawn = layer(x)
    torch.manual_seed(3)
    torch.testing.assert_close(drawn, layer(x, dropout_masks=layer.draw_dropout(x)))
    layer.eval()
    torch.testing.assert_close(layer(x), make()(x))
    assert not torch.allclose(layer(x)[0], drawn[0])


def test_zoneout_keeps_whole_values_in_training() -> None:
    layer = make(zoneout=(0.5, 0.0))
    outputs, _ = layer(frames(steps=6))
    kept = (outputs[:, 1:] == outputs[:, :-1]).double().mean().item()
    assert kept == pytest.approx(0.5, abs=0.05)
    _, (h, c) = make(zoneout=(0.0, 0.5))(frames(steps=1))
    assert (c == 0).double().mean().item() == pytest.approx(0.5, abs=0.1)
    assert (h != 0).all()


# Orders of axes


def test_time_first_and_channels_last_are_orders_of_the_same() -> None:
    x = frames()
    state = torch.randn(2, 3, 4, 5).double(), torch.randn(2, 3, 4, 5).double()
    expected, (h, c) = make()(x, state)
    outputs, last = make(batch_first=False)(x.transpose(0, 1), state)
    torch.testing.assert_close((outputs.transpose(0, 1), last), (expected, (h, c)))
    turned = tuple(part.movedim(1, -1) for part in state)
    outputs, last = make(data_format="channels_last")(x.movedim(2, -1), turned)
    torch.testing.assert_close((outputs, last[0], last[1]), tuple(p.movedim(-3, -1) for p in (expected, h, c)))


@pytest.mark.parametrize("options", [{}, {"batch_first": False}, {"data_format": "channels_last"}])
def test_one_sequence_needs_no_batch(options: dict[str, Any]) -> None:
    layer = make(**options)
    x = frames(batch=1)
    if options.get("data_format"):
        x = x.movedim(2, -1)
    outputs, (h, c) = layer(x if layer.batch_first else x.transpose(0, 1))
    alone, (h_alone, c_alone) = layer(x[0])
    torch.testing.assert_close((alone, h_alone, c_alone), (outputs.squeeze(int(not layer.batch_first)), h[0], c[0]))
    torch.testing.assert_close(layer(x[0], (h[0], None)), layer(x[0], (h[0], torch.zeros_like(c[0]))))
    mask = torch.tensor([True, False, True])
    masked = layer(x[0], mask=mask, lengths=torch.tensor(3))[0]
    torch.testing.assert_close(masked[1], masked[0])


def test_the_last_output_and_outputs_alone() -> None:
    x = frames()
    outputs, (h, c) = make()(x)
    assert torch.equal(make(return_state=False)(x), outputs)
    assert torch.equal(make(return_state=False, return_sequences=False)(x), outputs[:, -1])
    last, state = make(return_sequences=False)(x)
    torch.testing.assert_close((last, state), (outputs[:, -1], (h, c)), rtol=0.0, atol=0.0)
    masked = make(return_state=False, return_sequences=False)(x, (h, c), mask=torch.zeros(2, 3, dtype=torch.bool))
    assert not masked.any()


def test_what_is_padding_reaches_nothing() -> None:
    layer, x = make(), frames().requires_grad_()
    spoiled = x.detach().clone()
    spoiled[0, 2:] = float("nan")
    spoiled.requires_grad_()
    lengths = torch.tensor([2, 3])
    outputs, (h, c) = layer(spoiled, lengths=lengths)
    (gradient,) = torch.autograd.grad(outputs.sum() + h.sum() + c.sum(), spoiled)
    assert outputs.isfinite().all()
    assert gradient.isfinite().all()
    assert not gradient[0, 2:].any()


# Ways in which torch looks at a layer

EVERYTHING: dict[str, Any] = {
    "stride": (2, 1),
    "padding": ((1, 0), (2, 1)),
    "kernel_size": (2, 4),
    "activation": "softsign",
    "layer_norm": True,
    "image_size": (2, 5),
    "peephole": "full",
    "zoneout": 0.1,
    "dropout": 0.3,
}


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize("options", [{}, EVERYTHING, {"batch_first": False, "go_backwards": True, "dimensions": 1}])
def test_scripted(options: dict[str, Any]) -> None:
    layer = make(**options).eval()
    scripted = torch.jit.script(layer)
    for steps in (2, 3):
        x = frames(steps=steps, dimensions=layer.dimensions)
        x = x if layer.batch_first else x.transpose(0, 1)
        outputs, state = layer(x)
        torch.testing.assert_close(scripted(x), (outputs, state))
        torch.testing.assert_close(scripted(x, state), layer(x, state))
    scripted(x)[0].sum().backward()
    assert layer.weight_hh.grad is not None


@pytest.mark.filterwarnings("ignore:`torch.jit")
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"return_state": False}, "return_state=True only"),
        ({"data_format": "channels_last"}, "data_format='channels_first' only"),
        ({"stride": 2}, "'same' depends on the size"),
    ],
)
def test_what_is_not_scripted(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        torch.jit.script(make(**options))


def test_exported_and_compiled_with_everything() -> None:
    layer, x = make(**EVERYTHING).eval(), frames(steps=2)
    call = {"lengths": torch.tensor([1, 2]), "mask": torch.tensor([[True, False]] * 2)}
    expected = layer(x, **call)
    torch.testing.assert_close(torch.export.export(layer, (x,), call).module()(x, **call), expected)
    compiled = torch.compile(layer, backend="eager", fullgraph=True)
    torch.testing.assert_close(compiled(x, **call), expected)


@pytest.mark.filterwarnings("ignore")  # the exporter's own
def test_as_onnx(tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime")
    layer, x = make(**EVERYTHING, dtype=torch.float32).eval(), frames(steps=2).float()
    program: Any = torch.onnx.export(layer, (x,), dynamo=True, verbose=False)
    program.save(tmp_path / "layer.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "layer.onnx")
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    outputs, state = layer(x)
    torch.testing.assert_close([torch.from_numpy(part) for part in found], [outputs, *state])


def test_vmap_over_layers() -> None:
    layers = [make(**{**EVERYTHING, "dropout": 0.0}).eval() for _ in range(2)]
    with torch.no_grad():
        layers[1].weight_hh.neg_()
    parameters, _ = torch.func.stack_module_state(layers)
    x = frames()
    call = lambda p: torch.func.functional_call(layers[0], p, (x,))  # noqa: E731
    outputs, state = torch.func.vmap(call)(parameters)
    for index, layer in enumerate(layers):
        expected, last = layer(x)
        torch.testing.assert_close((outputs[index], state[0][index], state[1][index]), (expected, *last))


def test_gradients_and_gradients_of_gradients() -> None:
    layer = make(**{**EVERYTHING, "padding": "same", "kernel_size": 2, "zoneout": 0.1, "dropout": 0.0}).eval()
    x = frames(batch=1, steps=2).requires_grad_()
    names = [name for name, _ in layer.named_parameters()]

    def call(x: Tensor, *parameters: Tensor) -> Any:
        outputs, last = torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x,))
        return outputs, *last

    inputs = (x, *layer.parameters())
    assert torch.autograd.gradcheck(call, inputs, fast_mode=True)
    assert torch.autograd.gradgradcheck(call, inputs, atol=1e-4, fast_mode=True)


def test_autocast_goes_with_every_option() -> None:
    layer, x = make(**EVERYTHING, dtype=torch.float32).eval(), frames().float()
    expected = layer(x)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        outputs = layer(x)[0]
    assert (outputs.float() - expected).norm() < 0.05 * expected.norm()


def test_copies_and_pickles_are_equal() -> None:
    layer, x = make(**EVERYTHING).eval(), frames()
    for twin in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(twin(x), layer(x), rtol=0.0, atol=0.0)


def test_where_and_in_which_type_parameters_are_made() -> None:
    layer = ConvLSTM(2, 3, layer_norm=True, image_size=(4, 5), peephole="full", device="meta", dtype=torch.float16)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.float16)}


def test_the_repr_shows_what_is_not_the_default() -> None:
    assert repr(ConvLSTM(2, 3)) == "ConvLSTM(2, 3, kernel_size=(3, 3))"
    layer = ConvLSTM(2, 3, stride=2, bias=False, zoneout=0.1, activation=torch.relu, batch_first=False)
    assert layer.extra_repr() == (
        "2, 3, kernel_size=(3, 3), bias=False, batch_first=False, stride=(2, 2), zoneout=(0.1, 0.1), activation=relu"
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dimensions": 4}, "dimensions is 4"),
        ({"padding": -1}, "padding is -1"),
        ({"padding": ((1, 2, 3), 1)}, "padding is"),
        ({"padding": (1, 1, 1)}, "for each of 2 dimensions"),
        ({"dropout": 1.0}, "dropout is 1.0"),
        ({"recurrent_dropout": -0.1}, "recurrent_dropout is -0.1"),
        ({"zoneout": (0.1, 0.1, 0.1)}, "zoneout is"),
        ({"zoneout": 2}, "zoneout is 2"),
        ({"activation": "tan"}, "activation is 'tan'; give a function or one of sigmoid"),
        ({"activation": "hard_sigmoid"}, "activation is 'hard_sigmoid'"),
        ({"data_format": "last"}, "data_format is 'last'"),
        ({"layer_norm": True}, "layer_norm .* image_size"),
        ({"layer_norm": True, "image_size": (4, 5, 6)}, "image_size is"),
    ],
)
def test_options_that_make_no_layer(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        ConvLSTM(2, 3, **options)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ({"lengths": torch.tensor([1, 4])}, "lengths goes from 1 to 4; the sequences have 1 to 3"),
        ({"lengths": torch.tensor([0, 3])}, "lengths goes from 0"),
        ({"lengths": torch.tensor([1.0, 3.0])}, "give 2 integers"),
        ({"lengths": torch.tensor([3])}, "give 2 integers"),
        ({"mask": torch.ones(2, 3)}, "torch.bool"),
        ({"mask": torch.ones(3, dtype=torch.bool)}, "mask has shape"),
        ({"state": torch.zeros(2, 3, 4, 5).double()}, "state is not a pair"),
        ({"mask": torch.ones(3, 2, dtype=torch.bool)}, r"expected \(2, 3\)"),
        ({"dropout_masks": DropoutMasks(torch.ones(2, 8, 4, 4), None)}, "dropout_masks.x has shape"),
        ({"state": (torch.zeros(2, 3, 4, 4).double(), None)}, r"this input needs \(2, 3, 4, 5\)"),
    ],
)
def test_calls_that_do_not_fit(call: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        make()(frames(), **call)


def test_a_normalised_layer_says_its_size() -> None:
    layer = make(layer_norm=True, image_size=(4, 4))
    with pytest.raises(UsageError, match="these layer normalisations were made for 4x4 and the state is 4x5"):
        layer(frames())
