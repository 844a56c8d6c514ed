"""watch.json: what was found in a video, which makes its folder one that `watch` wrote."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from convlstm_cli.files import replacing
from convlstm_cli.video.values import ValueRange
from convlstm_cli.watching.calibration import Threshold
from convlstm_cli.watching.config import WatchConfig
from convlstm_cli.watching.events import Event

RECORD = "watch.json"
"""Name of the file."""


@dataclass(frozen=True)
class Calibration:
    """What the scores of a video were compared with."""

    source: str
    """The frames that counted as normal, in words."""
    frames: int
    """Those of them that had a score."""
    seconds_per_frame: float
    """From one frame of the video to the next, by which rates are counted."""
    threshold: Threshold


@dataclass(frozen=True, kw_only=True)
class WatchRecord:
    """What watch.json holds: neither its own path nor a date, so that equal results are equal byte for byte."""

    source: str
    run: str
    """Folder of the run."""
    members: int
    """Members that each frame was compared with; 0 for one forecast."""
    size: tuple[int, int]
    """Height and width at which frames were compared."""
    values: ValueRange
    """The range of values that was [0, 1] for the network."""
    frames: int
    """Frames of the video."""
    scored: int
    """Those with a score."""
    judged: int
    """Those of them that were compared with normal frames, and not taken for normal themselves."""
    alarms: int
    """Frames above the threshold."""
    calibration: Calibration
    events: tuple[Event, ...]
    settings: WatchConfig

    def to_dict(self) -> dict[str, Any]:
        """The entries of watch.json."""
        return {**asdict(self), "values": self.values.to_dict()}

    def write(self, folder: Path) -> None:
        """Writes watch.json into a folder whose other files are all there."""
        with replacing(folder / RECORD) as path:
            path.write_text(json.dumps(self.to_dict(), indent=2, allow_nan=False) + "\n", encoding="utf-8")
