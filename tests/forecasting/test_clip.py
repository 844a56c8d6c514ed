from pathlib import Path

import numpy as np
import pytest
from helpers import moving_square
from prediction import make_run, one

from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.clip import read_clip
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.video.readers import open_video


def test_at_beyond_the_end_says_how_many_frames_there_are(video: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="12 frames"):
        one(make_run(tmp_path / "run"), video, tmp_path / "out", PredictConfig(at=13))


def test_one_frame_is_not_enough(tmp_path: Path) -> None:
    np.save(tmp_path / "still.npy", np.zeros((1, 32, 32), np.uint8))
    with pytest.raises(InputError, match="single frame"):
        one(make_run(tmp_path / "run"), tmp_path / "still.npy", tmp_path / "out")


@pytest.mark.parametrize(("at", "last", "following"), [(None, 12, 0), (12, 12, 0), (9, 9, 3), (3, 3, 9)])
def test_the_last_frames_are_read_and_the_others_follow(at: int | None, last: int, following: int, video: Path) -> None:
    frames = np.load(video)
    with open_video(video) as opened:
        clip = read_clip(opened, 4, at)
        assert (clip.first, clip.last) == (max(1, last - 3), last)
        np.testing.assert_array_equal(clip.inputs, frames[clip.first - 1 : last])
        assert clip.followed == (following > 0)
        assert clip.grey
        np.testing.assert_array_equal(list(clip.following), frames[last:] if following else [])


def test_one_frame_of_colour_makes_a_clip_of_colour(tmp_path: Path) -> None:
    np.save(tmp_path / "colour.npy", moving_square(6, seed=1, channels=3))
    with open_video(tmp_path / "colour.npy") as opened:
        assert not read_clip(opened, 4, None).grey
