from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image
from video_helpers import MakeFrames, clips, few, read, write

from convlstm_cli.video.colour import Frame


@few
@given(clips())
def test_grey_gif_is_exact_even_where_neighbours_are_equal(
    tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]
) -> None:
    frames = [frame[..., :1] for frame in frames for _ in range(2)]
    decoded = read(write(tmp_path_factory.mktemp("gif") / "a", "gif", frames))
    np.testing.assert_array_equal(decoded, np.broadcast_to(frames, (*np.shape(frames)[:3], 3)))


def test_gif_loops_and_keeps_its_time(tmp_path: Path, make_frames: MakeFrames) -> None:
    with Image.open(write(tmp_path / "a", "gif", make_frames(3), fps=4.0)) as image:
        assert (image.info["loop"], image.info["duration"]) == (0, 250)
