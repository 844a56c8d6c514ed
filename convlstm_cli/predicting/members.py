"""The members of one input's forecast: computed, mixed and dressed by the guard, and on record."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from convlstm_cli.compute.device import Compute
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.ensemble import Networks
from convlstm_cli.forecasting.members import MembersFile, draws_members, members_file, plan_batches
from convlstm_cli.forecasting.prepared import Prepared
from convlstm_cli.forecasting.record import MembersRecord
from convlstm_cli.forecasting.streams import CHUNK, compute_members, members_together
from convlstm_cli.predicting.inputs import checked_inputs, guard_inputs
from convlstm_cli.scoring.guarded_members import GuardedMembers


@contextlib.contextmanager
def members_of(
    prepared: Prepared, guarded: GuardedMembers | None, config: PredictConfig, compute: Compute, folder: Path
) -> Iterator[MembersFile]:
    """Computes the members of a forecast, and yields them in a file in `folder`, which is removed at the end."""
    models, frames, tilings = prepared.networks.models, prepared.frames, prepared.tilings
    batches = plan_batches(models, config, members_together(models, frames, compute, tilings))
    count = sum(len(batch.members) for batch in batches)
    height, width = frames.shape[-2:]
    shape = count, prepared.horizon, prepared.networks.channels, height, width
    with members_file(folder / ".members", shape) as file:
        compute_members(file, batches, models, frames, compute, tilings, folder, prepared.future)
        if guarded is not None:
            _guard(file, guarded, prepared, config.seed, compute)
        yield file


def guarded_members(prepared: Prepared, config: PredictConfig, compute: Compute) -> GuardedMembers | None:
    """How the guard mixes and dresses the members.

    None where no members are drawn, the input is too short for a check, or the guard is off.
    """
    models = prepared.networks.models
    if not (config.guard and draws_members(models, config)):
        return None
    inputs = guard_inputs(prepared, compute)
    found = GuardedMembers.check(models, checked_inputs(inputs, prepared, compute), compute, config.seed)
    return None if found is None else found.resized(*inputs.shape[-2:])


def _guard(file: MembersFile, guarded: GuardedMembers, prepared: Prepared, seed: int, compute: Compute) -> None:
    """Mixes and dresses all members in their file, `CHUNK` lead times at a time and one member after another."""
    inputs = guard_inputs(prepared, compute)
    mixing = guarded.pieces(inputs[:, :, : prepared.networks.channels], file.horizon, CHUNK)
    for first in range(0, file.horizon, CHUNK):
        steps = min(CHUNK, file.horizon - first)
        pieces = (file.piece(member, first, steps)[None] for member in range(len(file)))
        for member, piece in enumerate(mixing.mix_each(pieces)):
            file.put([member], first, guarded.dress(piece, member, seed, first))


def members_record(networks: Networks, config: PredictConfig, guarded: GuardedMembers | None) -> MembersRecord | None:
    """The members that were asked for."""
    if not config.asks_for_members:
        return None
    return MembersRecord(
        count=config.members or len(networks),
        seed=config.seed if draws_members(networks.models, config) else None,
        written=config.members is not None,
        quantiles=config.quantiles,
        exceed=config.exceed,
        past_errors=None if guarded is None else float(guarded.share[0]),
    )
