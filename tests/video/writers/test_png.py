from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image
from video_helpers import MakeFrames, clips, few, read, write

from convlstm_cli.errors import OutputError
from convlstm_cli.video.colour import Frame


@few
@given(clips())
def test_frames_come_back_exactly(tmp_path_factory: pytest.TempPathFactory, frames: list[Frame]) -> None:
    path = write(tmp_path_factory.mktemp("exact") / "a", "png", frames)
    np.testing.assert_array_equal(read(path), frames)


def test_png_files_are_numbered_from_one_and_grey_if_the_frames_are(tmp_path: Path, make_frames: MakeFrames) -> None:
    folder = write(tmp_path / "new" / "folder", "png", make_frames(3, channels=1))
    assert sorted(path.name for path in folder.iterdir()) == [f"frame_00000{number}.png" for number in (1, 2, 3)]
    with Image.open(folder / "frame_000001.png") as image:
        assert image.mode == "L"


def test_png_does_not_mix_with_older_frames(tmp_path: Path, make_frames: MakeFrames) -> None:
    folder = write(tmp_path / "a", "png", make_frames(3))
    with pytest.raises(OutputError, match="holds frames already"):
        write(folder, "png", make_frames(2))
    assert len(list(folder.iterdir())) == 3
