"""Frames and files that the tests of convlstm_cli.video share."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from video_helpers import MakeFrames, MakeVideo, write

from convlstm_cli.video.colour import Frame


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keeps the user's cache out of the tests."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("CONVLSTM_CACHE", str(folder))
    return folder


@pytest.fixture
def make_frames() -> MakeFrames:
    """Smooth frames that a lossy codec keeps apart: each one brighter than the one before."""

    def make(count: int = 6, height: int = 48, width: int = 64, channels: int = 3, seed: int = 0) -> list[Frame]:
        random = np.random.default_rng(seed)
        phase = random.uniform(0, np.pi, channels)
        rows, columns = np.mgrid[:height, :width]
        slopes = np.stack([np.sin(rows / 9 + p) + np.cos(columns / 11 + 2 * p) for p in phase], axis=-1)
        return [
            np.asarray(np.clip(60 + 25 * slopes + 120 * number / max(1, count - 1), 0, 255), np.uint8)
            for number in range(count)
        ]

    return make


@pytest.fixture
def make_video(make_frames: MakeFrames) -> MakeVideo:
    """Writes frames, or made ones, to a path in one of the tool's formats."""

    def make(path: Path, kind: str, frames: Sequence[Frame] | None = None, **made: int) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        return write(path, kind, frames if frames is not None else make_frames(**made))

    return make
