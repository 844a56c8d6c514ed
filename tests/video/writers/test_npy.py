import numpy as np
import pytest
from hypothesis import given
from video_helpers import clips, few, read, write

from convlstm_cli.video.colour import Frame


@few
@given(clips())
def test_frames_come_back_exactly(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    path = write(tmp_path_factory.mktemp("exact") / "a", "npy", frames)
    np.testing.assert_array_equal(read(path), frames)
