"""Forecasts that are there already, whole and made from the very same, so that nothing is computed twice."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import RunError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs.record import as_object, read
from convlstm_cli.runs.run import Run
from convlstm_cli.video.cache import fingerprint_of

RECORD = "forecast.json"
"""The file that makes a folder a forecast."""
MADE_FROM, HOLDS = "made_from", "holds"
"""Parts of it: what a forecast depends on, and how much was written beside this file."""


def network_digest(run: Run, model: EncoderForecaster) -> str:
    """Of all that a forecast depends on in a run: the network, its weights, and how frames are brought to it."""
    digest = hashlib.sha256(json.dumps([asdict(model.config), asdict(run.geometry)]).encode())
    for name, weights in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(weights.cpu().numpy().tobytes())
    return digest.hexdigest()


def made_from(source: Path, networks: Sequence[str], config: PredictConfig) -> dict[str, Any]:
    """What the forecast of an input depends on, as JSON has it; `networks` are digests of the members, in order.

    Where it is computed is left out: that may differ between the parts of one job. Raises InputError for an input
    that is not there.
    """
    fingerprint = fingerprint_of(source)  # first, as it finds out whether there is anything
    settings = asdict(config)
    del settings["device"]
    content = {
        "input": {"path": str(source.resolve()), "fingerprint": fingerprint},
        "networks": networks,
        "settings": settings,
        "versions": versions(),
    }
    read: dict[str, Any] = json.loads(json.dumps(content))  # so that it compares with what is read from a file
    return read


def holds(folder: Path) -> dict[str, int]:
    """How much is in the folder of a forecast, without its record and hidden files: files, and their bytes."""
    sizes = [
        path.stat().st_size
        for path in folder.rglob("*")
        if path.name != RECORD and not path.name.startswith(".") and path.is_file()
    ]
    return {"files": len(sizes), "bytes": sum(sizes)}


def read_whole(folder: Path, origin: dict[str, Any]) -> dict[str, Any] | None:
    """The record of a forecast that is whole and has this origin; None if there is none."""
    try:
        record = read(folder / RECORD, as_object)
        same = record[MADE_FROM] == origin and record[HOLDS] == holds(folder)
    except (OSError, RunError, KeyError):
        return None
    return record if same else None
