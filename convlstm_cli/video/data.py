"""From folders of videos to the clips of training, validation and test."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from convlstm_cli.errors import InputError
from convlstm_cli.files import resolved
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import Library, OnVideo, Segment, Split, index, split

Subset = Literal["train", "validation", "test"]
SUBSETS: tuple[Subset, ...] = ("train", "validation", "test")


@dataclass(frozen=True)
class VideoData:
    """Videos, decoded once, and which of their frames are for what."""

    config: DataConfig
    library: Library
    split: Split
    channels: int
    """1 or 3: of the frames that the model sees."""
    input_frames: int
    """Frames that a clip gives the model."""
    horizon: int
    """Frames of a clip that are to be forecast."""

    def clips(self, subset: Subset) -> ClipDataset:
        """The clips of a subset; those of validation and test score every frame at most once."""
        stride = self.config.stride if subset == "train" else self.horizon
        return ClipDataset(
            self.library,
            getattr(self.split, subset),
            self.input_frames + self.horizon,
            stride=stride,
            channels=self.channels,
        )

    def to_dict(self) -> dict[str, Any]:
        """What config.json says of the data: settings, split, and what could not be used."""
        return {
            "settings": asdict(self.config),
            "channels": self.channels,
            "split": {"how": self.split.how, **{name: self._segments(name) for name in SUBSETS}},
            "problems": [{"path": str(p.path), "reason": p.reason} for p in self.library.problems],
        }

    def _segments(self, subset: Subset) -> list[dict[str, Any]]:
        videos = {video.name: video for video in self.library.videos}
        return [
            {
                **vars(segment),
                "path": str(resolved(videos[segment.video].path)),
                "frames": videos[segment.video].frames,
                "digest": self.library.digest(segment.video),
            }
            for segment in getattr(self.split, subset)
        ]


def prepare(
    config: DataConfig,
    input_frames: int,
    horizon: int,
    on_progress: OnVideo | None = None,
) -> VideoData:
    """Finds and decodes the videos and splits them.

    Raises InputError where no video can be used or they are too short for the split.
    """
    clip_frames = input_frames + horizon
    library = _index(config, clip_frames, on_progress)
    return VideoData(
        config=config,
        library=library,
        split=split(
            library.videos,
            clip_frames,
            validation=config.validation,
            test=config.test,
            seed=config.split_seed,
        ),
        channels={"grey": 1, "rgb": 3}.get(config.colour, library.channels),
        input_frames=input_frames,
        horizon=horizon,
    )


def restore(
    record: dict[str, Any],
    input_frames: int,
    horizon: int,
    on_progress: OnVideo | None = None,
    needed: Sequence[Subset] = SUBSETS,
) -> VideoData:
    """The data of a run, from what its config.json says, with the very split that it was trained with.

    Raises InputError where a video of the `needed` subsets is gone or shows other frames.
    """
    config = DataConfig(**record["settings"])
    library = _index(config, input_frames + horizon, on_progress)
    videos = {video.name: video for video in library.videos}
    segments: dict[str, tuple[Segment, ...]] = {}
    for name in SUBSETS:
        for entry in record["split"][name]:
            video = videos.get(entry["video"])
            found = None if video is None else library.digest(video.name)
            same = video is not None and found == entry["digest"] and entry["stop"] <= video.frames
            if not same and name in needed:
                now = "is gone or cannot be used" if found is None else "shows other frames"
                raise InputError(
                    f"{entry['path']}: {now} since the run began; put it back as it was, or start a new run."
                )
        segments[name] = tuple(Segment(e["video"], e["start"], e["stop"]) for e in record["split"][name])
    return VideoData(
        config=config,
        library=library,
        split=Split(how=record["split"]["how"], **segments),
        channels=record["channels"],
        input_frames=input_frames,
        horizon=horizon,
    )


def _index(config: DataConfig, clip_frames: int, on_progress: OnVideo | None) -> Library:
    geometry = FrameGeometry(config.height, config.width, config.fit)
    return index(config.folders, geometry, min_frames=clip_frames, on_progress=on_progress)
