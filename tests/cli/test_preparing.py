from pathlib import Path

import pytest
from calls import refused


@pytest.mark.parametrize(
    "arguments",
    [("train", "videos", "--init", "nothere"), ("compare", "videos", "--vary", "init=none,nothere")],
)
def test_weights_that_are_not_there_are_named_before_videos_are_read(
    tmp_path: Path, arguments: tuple[str, ...]
) -> None:
    assert "nothere: it is not there; give pretrained" in refused(*arguments, cwd=tmp_path)  # nor are the videos
