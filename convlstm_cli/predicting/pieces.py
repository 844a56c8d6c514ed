"""The forecast of one input in pieces of a few lead times, each computed when it is asked for."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.ensemble import lockstep
from convlstm_cli.forecasting.prepared import Prepared
from convlstm_cli.forecasting.statistics import LeadTime
from convlstm_cli.forecasting.streams import CHUNK, open_streams
from convlstm_cli.predicting.inputs import checked_inputs, guard_inputs
from convlstm_cli.scoring.guarded import GuardedPieces, check_networks


class Piece(NamedTuple):
    """Some lead times of a forecast."""

    frames: Tensor
    """(1, n, C, H, W) in [0, 1]."""
    spread: Tensor | None = None
    """Standard deviation of the members of an ensemble, like `frames`."""
    found: LeadTime | None = None
    """What members that were asked for say together, at a single lead time."""


def mixing_of(prepared: Prepared, compute: Compute) -> GuardedPieces | None:
    """What mixes the pieces of a forecast; None where the input is too short for the guard's check."""
    inputs = guard_inputs(prepared, compute)
    guard = check_networks(prepared.networks.models, checked_inputs(inputs, prepared, compute), compute)
    if guard is None:
        return None
    return GuardedPieces(guard, inputs[:, :, : prepared.networks.channels], prepared.horizon, CHUNK)


def compute_pieces(prepared: Prepared, mixing: GuardedPieces | None, compute: Compute, folder: Path) -> Iterator[Piece]:
    """The forecast in pieces, each computed when it is asked for, and an ensemble's spread.

    `mixing` mixes the mean of the networks with the baselines. Tiles may need a file in `folder`.
    """
    models = prepared.networks.models
    streams = open_streams(
        models, prepared.frames, prepared.horizon, compute, prepared.tilings, folder, prepared.future
    )
    for piece, spread in lockstep(streams) if len(streams) > 1 else ((piece, None) for piece in streams[0]):
        yield Piece(piece if mixing is None else mixing.mix(piece), spread)
