"""Reuses finished forecasts whose inputs are unchanged."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import RunError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.record import RECORD, Contents, ForecastRecord, Origin, SourceState
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs.record import build, read
from convlstm_cli.runs.run import Run
from convlstm_cli.video.cache import fingerprint_of
from convlstm_cli.video.formats import OUTPUT_FORMATS


def network_digest(run: Run, model: EncoderForecaster) -> str:
    """A hash of all that a forecast depends on in a run: network, weights, and the size, step and range of frames."""
    values = None if run.values is None else run.values.to_dict()
    guides = [guide.to_dict() for guide in run.guides]
    frames = [asdict(run.geometry), asdict(run.pace), values, run.missing, run.chosen_channels, guides]
    settings = [asdict(model.config), *frames]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()


def origin_of(source: Path, networks: Sequence[str], config: PredictConfig) -> Origin:
    """What the forecast of a source depends on; `networks` are the digests of the networks, in order.

    The device is left out, since it may differ between the shards of one job. Raises InputError for a source that does
    not exist.
    """
    fingerprint = fingerprint_of(source)  # first, since it raises InputError where there is nothing
    settings = asdict(config)
    del settings["device"]
    return Origin(
        SourceState(str(source.resolve()), fingerprint),
        tuple(networks),
        json.loads(json.dumps(settings)),  # so that it compares equal to what is read from a file
        versions([each.library[0] for each in OUTPUT_FORMATS.values() if each.library is not None]),
    )


def source_of(folder: Path) -> SourceState | None:
    """What the forecast in a folder was made from; None where there is none that can be read."""
    try:
        record: ForecastRecord = read(folder / RECORD, partial(build, ForecastRecord))
    except (OSError, RunError):
        return None
    return record.made_from.input


def read_unchanged(folder: Path, origin: Origin) -> ForecastRecord | None:
    """The record of the forecast in a folder, if that is whole and has this origin; None otherwise."""
    try:
        record = read(folder / RECORD, partial(build, ForecastRecord))
        unchanged = record.made_from == origin and record.holds == Contents.of(folder)
    except (OSError, RunError):
        return None
    return record if unchanged else None
