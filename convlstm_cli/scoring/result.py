"""What an evaluation finds, from where it is measured to where it is printed or written."""

from dataclasses import asdict, dataclass
from typing import Any

from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.versions import versions
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring import bootstrap
from convlstm_cli.scoring.bootstrap import Skill
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.scoring.evaluation import Evaluation
from convlstm_cli.scoring.metrics import DEFINITIONS, finite
from convlstm_cli.video.library import Video


@dataclass(frozen=True)
class ShownClip:
    """A clip with its forecasts, to be looked at."""

    video: str
    first_frame: int
    """Number of the first frame that the model reads, from 1."""
    mse: float
    persistence_mse: float
    rows: dict[str, Tensor]
    """input, truth, model and each baseline: (T, C, H, W) in [0, 1] on the CPU, at most `PICTURED_FRAMES` each."""

    def to_dict(self) -> dict[str, object]:
        """All but the pictures, as JSON holds it."""
        return {
            "video": self.video,
            "first_frame": self.first_frame,
            "mse": self.mse,
            "persistence_mse": self.persistence_mse,
        }


@dataclass(frozen=True)
class EvaluationReport:
    """What an evaluation found."""

    runs: tuple[Run, ...]
    folders: tuple[str, ...]
    """Where the videos were looked for; none for the run's own test videos."""
    config: EvaluateConfig
    """With `frames` and `stride` resolved."""
    compute: Compute
    input_frames: int
    frame_shape: tuple[int, int, int]
    """Channels, height and width that everything was scored at."""
    videos: tuple[Video, ...]
    """Those with a clip that was scored."""
    left_out: tuple[str, ...]
    """Videos that were not scored, because a run was trained on them or chose its best epoch by them."""
    clips: tuple[tuple[str, int], ...]
    """Name of the video and position of the first frame, from 0, of each clip, in the order of the scores."""
    evaluation: Evaluation
    skills: dict[str, Skill]
    """Against each baseline."""
    worst: tuple[ShownClip, ...]
    """Of the clips, those with the highest MSE relative to persistence, the worst first."""
    best: tuple[ShownClip, ...]
    """Those with the lowest, the best first."""

    @property
    def no_interval(self) -> str | None:
        """Why the skills have no interval; None where they have."""
        if len(self.videos) > 1:
            return None
        return "a single video was scored, and an interval needs at least two to draw from"

    def to_dict(self) -> dict[str, Any]:
        """As evaluation.json holds it."""
        channels, height, width = self.frame_shape
        clips = [name for name, _ in self.clips]
        spread = self.evaluation.spread
        return {
            "runs": [str(run.folder) for run in self.runs],
            "folders": list(self.folders),
            "settings": asdict(self.config),
            "input_frames": self.input_frames,
            "horizon": self.config.frames,
            "height": height,
            "width": width,
            "channels": channels,
            "videos": [
                {"video": video.name, "path": str(video.path), "clips": clips.count(video.name)}
                for video in self.videos
            ],
            "left_out": list(self.left_out),
            "clips": len(clips),
            **self.evaluation.to_dict(),
            "skill_against": {name: found.to_dict() for name, found in self.skills.items()},
            "interval": {
                "level": bootstrap.LEVEL,
                "resamples": bootstrap.RESAMPLES,
                "seed": bootstrap.SEED,
                "of": "videos, drawn with replacement",
                "missing": self.no_interval,
            },
            "spread_skill": None
            if spread is None
            else {
                "members": spread.members,
                "by_lead_time": [finite(ratio) for ratio in spread.ratios(self.evaluation.model.mse)],
            },
            "worst": [clip.to_dict() for clip in self.worst],
            "best": [clip.to_dict() for clip in self.best],
            "definitions": DEFINITIONS,
            "compute": {"device": str(self.compute.device), "precision": self.compute.precision},
            "versions": versions(),
        }
