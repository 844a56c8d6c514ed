from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from PIL import Image
from video_helpers import MakeFrames, clips, few, read, write

from convlstm_cli.errors import OutputError
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.writers import open_writer


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


def test_png_files_have_the_names_that_are_given(tmp_path: Path, make_frames: MakeFrames) -> None:
    with open_writer(tmp_path / "a", "png", 10, names=["20240101T0450", "20240101T0500"]) as writer:
        for frame in make_frames(2):
            writer.write(frame)
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["20240101T0450.png", "20240101T0500.png"]
