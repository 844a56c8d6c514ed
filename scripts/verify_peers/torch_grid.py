"""torch.nn.LSTM beside our stack with 1x1 kernels, over a covering array of nn.LSTM's options.

Usage: torch_grid.py [SEED]. Runs with the checkout on the module path, and in the tests. Prints the worst differences
as tables for convlstm_cli/nn/README.md, and exits with 1 if one is too large.
"""

import sys
import zlib
from collections.abc import Mapping
from typing import Any

import torch
from differences import PRECISIONS, Difference, report, worst_difference
from pairwise import Row, pairwise
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from convlstm_cli.nn.interop.torch_lstm import from_torch_lstm, named_layers
from convlstm_cli.nn.stack import ConvLSTMStack

STEPS, IN, HIDDEN = 5, 3, 4

OPTIONS: dict[str, tuple[Any, ...]] = {
    "num_layers": (1, 2, 3),
    "bias": (True, False),
    "batch_first": (False, True),
    "dropout": (0.0, 0.5),
    "bidirectional": (False, True),
    "input": ("batched", "unbatched", "packed", "packed unsorted"),
    "state": ("none", "given"),
}
"""Options of nn.LSTM and ways of calling it, with the values tried."""


def allowed(row: Row) -> bool:
    """Whatever nn.LSTM takes: dropout acts between layers only, and one layer with dropout makes it warn."""
    return row.get("num_layers", 2) > 1 or not row.get("dropout", 0.0)


def cases(seed: int = 0) -> list[Row]:
    return pairwise(OPTIONS, allowed, seed)


def run(row: Row, precision: str) -> dict[str, Difference]:
    """The largest relative differences of outputs, of states and of gradients.

    With dropout the batch has one item: nn.LSTM draws in the order (T, B) and ours in the order (B, T), so that the
    same seed drops the same values for one item only.
    """
    dtype = getattr(torch, precision)
    random = torch.Generator().manual_seed(zlib.crc32(repr(row).encode()))
    batch = 1 if row["dropout"] else 3
    names = ("num_layers", "bias", "batch_first", "dropout", "bidirectional")
    peer = nn.LSTM(IN, HIDDEN, dtype=dtype, **{name: row[name] for name in names})
    with torch.no_grad():
        for parameter in peer.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=random, dtype=torch.float64) * 0.5)
    ours = from_torch_lstm(peer)
    batched = () if row["input"] == "unbatched" else (batch,)
    axes = (*batched, STEPS) if row["batch_first"] else (STEPS, *batched)
    x = torch.randn(*axes, IN, generator=random, dtype=torch.float64).to(dtype)
    state = None
    if row["state"] == "given":
        count = row["num_layers"] * (1 + row["bidirectional"])
        drawn = torch.randn(2, count, *batched, HIDDEN, generator=random, dtype=torch.float64).to(dtype)
        state = (drawn[0], drawn[1])
    theirs = _pass_through(peer, row, x, state, frames=False)
    return {kind: worst_difference(part, theirs[kind]) for kind, part in _of_ours(ours, row, x, state).items()}


def _of_ours(
    stack: ConvLSTMStack, row: Row, x: Tensor, state: tuple[Tensor, Tensor] | None
) -> dict[str, dict[str, Tensor]]:
    """Our results and gradients with the names and shapes of nn.LSTM's."""
    passed = _pass_through(stack, row, x, state, frames=True)
    gradients = {name: part for name, part in passed["gradient"].items() if name in ("x", "h", "c")}
    for layer, suffix in named_layers(stack):
        assert layer.weight_ih is not None
        gradients[f"weight_ih{suffix}"] = _gradient(layer.weight_ih).flatten(1)
        gradients[f"weight_hh{suffix}"] = _gradient(layer.weight_hh).flatten(1)
        if layer.bias is not None:  # the sum of both has the gradient of each
            gradients[f"bias_ih{suffix}"] = gradients[f"bias_hh{suffix}"] = _gradient(layer.bias)
    return {**passed, "gradient": gradients}


def _pass_through(
    layers: nn.Module, row: Row, x: Tensor, state: tuple[Tensor, Tensor] | None, *, frames: bool
) -> dict[str, dict[str, Tensor]]:
    """Outputs, last states and gradients of a random loss of them; with `frames`, x and states get two axes more."""
    leaves = {"x": x.clone().requires_grad_()}
    if state is not None:
        leaves |= {name: part.clone().requires_grad_() for name, part in zip("hc", state, strict=True)}
    given = {name: leaf[..., None, None] if frames else leaf for name, leaf in leaves.items()}
    torch.manual_seed(0)
    y, (h, c) = layers(_input(row, given["x"]), (given["h"], given["c"]) if state is not None else None)
    results = {"y": y.data if isinstance(y, PackedSequence) else y, "h": h, "c": c}
    if frames:
        results = {name: part[..., 0, 0] for name, part in results.items()}
    random = torch.Generator().manual_seed(1)
    loss = torch.stack(
        [
            (part * torch.randn(part.shape, generator=random, dtype=torch.float64).to(part.dtype)).sum()
            for part in results.values()
        ]
    ).sum()
    loss.backward()  # type: ignore[no-untyped-call]
    gradients = {name: _gradient(leaf) for name, leaf in leaves.items()}
    gradients |= {name: _gradient(parameter) for name, parameter in layers.named_parameters()}
    return {"forward": {"y": results.pop("y")}, "state": results, "gradient": gradients}


def _input(row: Mapping[str, Any], x: Tensor) -> Tensor | PackedSequence:
    if not row["input"].startswith("packed"):
        return x
    batch = x.shape[0 if row["batch_first"] else 1]
    lengths = [STEPS, 3, 1][:batch]
    if row["input"] == "packed":
        return pack_padded_sequence(x, torch.tensor(lengths), batch_first=row["batch_first"])
    return pack_padded_sequence(x, torch.tensor(lengths[::-1]), batch_first=row["batch_first"], enforce_sorted=False)


def _gradient(leaf: Tensor) -> Tensor:
    assert leaf.grad is not None
    return leaf.grad


def main(seed: int) -> int:
    done = [("torch.nn.LSTM", row, precision, run(row, precision)) for row in cases(seed) for precision in PRECISIONS]
    return report(f"torch {torch.__version__.split('+')[0]}", OPTIONS, done)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 0))
