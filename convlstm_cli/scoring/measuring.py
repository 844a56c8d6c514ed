"""All columns of a batch of clips, measured at once."""

from collections.abc import Sequence

import torch
from torch import Tensor

from convlstm_cli.scoring.metrics import EVENT_METRICS, METRICS, columns_of
from convlstm_cli.scoring.pooling import VALID, Rows
from convlstm_cli.video.values import BYTES, ValueRange


@torch.no_grad()
def measure(
    forecast: Tensor,
    truth: Tensor,
    thresholds: Sequence[float] = (),
    valid: Tensor | None = None,
    values: ValueRange = BYTES,
) -> dict[str, Rows]:
    """All columns of a batch, each (B, T), from forecast and truth (B, T, C, H, W) in [0, 1] on any device.

    [0, 1] is that of the network, for values of the range `values`; errors are those of the values in their unit, and
    so are the thresholds. The columns of the event metrics are named after the position of their threshold: `hits_0`.
    Where `valid`, bool, is False there is no truth, and nothing counts.
    """
    forecast, truth = forecast.float(), truth.float()
    share = torch.ones(truth.shape[:2])
    if valid is not None:
        forecast, truth, share = forecast * valid, truth * valid, _share(valid)
    kept = {VALID: share}
    powers = {VALID: 0}
    linear = values.linear(forecast), values.linear(truth)
    for name, column in columns_of(METRICS).items():
        kept[name], powers[name] = column.measure(*linear, valid), column.power
    for position, threshold in enumerate(thresholds):
        least = values.least_share(threshold)
        expected, happened = forecast >= least, truth >= least
        if valid is not None:
            expected, happened = expected & valid, happened & valid
        for name, column in columns_of(EVENT_METRICS).items():
            kept[event_column(name, position)] = column.measure(expected, happened, valid)
    # float64 on the CPU, because MPS has none. Copied, since what torch allocates, kept for long between large tensors
    # that come and go, leaves holes in the memory that nothing fits into: 36 KB a clip.
    rows = {name: column.cpu().double().numpy().copy() for name, column in kept.items()}
    return {name: row * values.scored_span ** powers.get(name, 0) for name, row in rows.items()}


def event_column(name: str, position: int) -> str:
    """The name of an event metric's column for the threshold at a position."""
    return f"{name}_{position}"


def _share(valid: Tensor) -> Tensor:
    """The share of each frame's pixels that have a truth, (B, T)."""
    return valid.float().mean(dim=(2, 3, 4))
