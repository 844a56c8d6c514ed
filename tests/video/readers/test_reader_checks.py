from pathlib import Path

import pytest
from video_helpers import MakeVideo

from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.checks import cut_off


@pytest.mark.parametrize(
    ("decoded", "declared", "warned"), [(9, 10, False), (8, 10, True), (5, None, False), (12, 10, False)]
)
def test_far_fewer_frames_than_declared(decoded: int, declared: int | None, warned: bool) -> None:
    assert (cut_off(decoded, declared) is not None) == warned


def test_a_video_of_few_frames_that_lasts_as_long_as_declared_is_whole() -> None:
    assert cut_off(51, 100, seconds=3.96, fps=25) is None
    assert cut_off(51, 100, seconds=2, fps=25) is not None


def test_closing_ends_the_frames(tmp_path: Path, make_video: MakeVideo) -> None:
    with open_video(make_video(tmp_path / "a", "webm")) as video:
        pass
    assert list(video) == []
