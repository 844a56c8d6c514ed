"""The results of an evaluation, from where they are measured to where they are printed or written."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

from torch import Tensor

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.versions import versions
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring import bootstrap
from convlstm_cli.scoring.bootstrap import Skill
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.scoring.evaluation import Evaluation
from convlstm_cli.scoring.members.member_scores import MEMBER_DEFINITIONS, PooledMembers, listed
from convlstm_cli.scoring.members.spectra import SPECTRA_DEFINITIONS, PooledSpectra
from convlstm_cli.scoring.metrics import definitions
from convlstm_cli.scoring.systems import MEMBERS
from convlstm_cli.video.library import Video
from convlstm_cli.video.painting import Painter
from convlstm_cli.video.values import BYTES, ValueRange


@dataclass(frozen=True)
class ShownClip:
    """A clip with its forecasts, for pictures."""

    video: str
    first_frame: int
    """Number of the first frame that the model reads, from 1."""
    mse: float
    persistence_mse: float
    rows: dict[str, Tensor]
    """`input`, `truth`, and each system of the evaluation by its name: (T, C, H, W) in [0, 1] on the CPU, with NaN
    where pixels are missing."""

    def to_dict(self) -> dict[str, object]:
        """Everything but the pictures, as JSON holds it."""
        return {
            "video": self.video,
            "first_frame": self.first_frame,
            "mse": self.mse,
            "persistence_mse": self.persistence_mse,
        }


@dataclass(frozen=True)
class EvaluationReport:
    """The results of `evaluate`."""

    runs: tuple[Run, ...]
    folders: tuple[str, ...]
    """Folders whose videos were scored; empty for the test videos of the first run."""
    config: EvaluateConfig
    """The settings, with `frames` and `stride` resolved."""
    compute: Compute
    input_frames: int
    frame_shape: tuple[int, int, int]
    """Channels, height and width of the scored frames."""
    videos: tuple[Video, ...]
    """Videos with a clip that was scored."""
    left_out: tuple[str, ...]
    """Videos that were not scored, because a run was trained on them or chose its best epoch by them."""
    clips: tuple[tuple[str, int], ...]
    """Name of the video and position of the first frame, from 0, of each clip, in the order of the scores."""
    evaluation: Evaluation
    skills: dict[str, Skill]
    """Skill against each baseline, by its name."""
    worst: tuple[ShownClip, ...]
    """Clips with the highest MSE relative to persistence, the worst first."""
    best: tuple[ShownClip, ...]
    """Clips with the lowest MSE relative to persistence, the best first."""
    values: ValueRange = BYTES
    """The range that is [0, 1] for the networks, in whose unit the scores are."""

    @property
    def painter(self) -> Painter:
        """What draws the shown clips."""
        return Painter(self.values, self.config.colormap)

    @property
    def no_interval(self) -> str | None:
        """Why the skills have no interval; None where they have."""
        if len(self.videos) > 1:
            return None
        return "a single video was scored, and an interval needs at least two to draw from"

    @cached_property
    def members(self) -> dict[str, PooledMembers] | None:
        """The scores of the members, then of all systems beside them, by their names; None for a single forecast."""
        ensemble = self.evaluation.ensemble
        return None if ensemble is None else ensemble.pooled([video for video, _ in self.clips])

    @cached_property
    def spectra(self) -> PooledSpectra | None:
        """The spectra of all systems that have scores of members, and of the truth; None for a single forecast."""
        ensemble = self.evaluation.ensemble
        return None if ensemble is None else ensemble.spectra.pooled()

    @property
    def definitions(self) -> dict[str, str]:
        """What each score is, by its name in files."""
        return definitions(self.values) | ({} if self.members is None else MEMBER_DEFINITIONS | SPECTRA_DEFINITIONS)

    def clips_of(self, video: Video) -> int:
        """Number of scored clips of a video."""
        return sum(name == video.name for name, _ in self.clips)

    def to_dict(self) -> dict[str, Any]:
        """The content of evaluation.json."""
        channels, height, width = self.frame_shape
        return {
            "runs": [str(run.folder) for run in self.runs],
            "folders": list(self.folders),
            "settings": asdict(self.config),
            "input_frames": self.input_frames,
            "horizon": self.config.frames,
            "height": height,
            "width": width,
            "channels": channels,
            "values": self.values.to_dict(),
            "videos": [
                {"video": video.name, "path": str(video.path), "clips": self.clips_of(video)} for video in self.videos
            ],
            "left_out": list(self.left_out),
            "clips": len(self.clips),
            **self.evaluation.to_dict(),
            "skill_against": {name: found.to_dict() for name, found in self.skills.items()},
            "interval": {
                "level": bootstrap.LEVEL,
                "resamples": bootstrap.RESAMPLES,
                "seed": bootstrap.SEED,
                "of": "videos, drawn with replacement",
                "missing": self.no_interval,
            },
            **self._members_to_dict(),
            "worst": [clip.to_dict() for clip in self.worst],
            "best": [clip.to_dict() for clip in self.best],
            "definitions": self.definitions,
            "compute": {"device": str(self.compute.device), "precision": self.compute.precision},
            "versions": versions(),
        }

    def _members_to_dict(self) -> dict[str, object]:
        """CRPS and spread over error by lead time, all scores of members, and spectra; null for a single forecast."""
        if self.members is None or self.spectra is None:
            return dict.fromkeys(("crps", "spread_skill", "members", "spectra"))
        others = dict(self.members)
        own = others.pop(MEMBERS)
        assert own.spread_skill is not None  # there are at least two members
        return {
            "crps": listed(own.crps),
            "spread_skill": listed(own.spread_skill),
            "members": {**own.to_dict(), "beside": {name: scores.to_dict() for name, scores in others.items()}},
            "spectra": self.spectra.to_dict(),
        }
