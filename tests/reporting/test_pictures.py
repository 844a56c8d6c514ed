from pathlib import Path

import numpy as np
import torch

from convlstm_cli.reporting.pictures import encode, strip, to_image, write_strip
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.readers import open_video


def test_frames_become_pictures_with_colours_in_place() -> None:
    red = torch.zeros(3, 2, 2)
    red[0] = 1.0
    assert (to_image(red) == [255, 0, 0]).all()
    grey = to_image(torch.full((1, 2, 2), 0.5))
    assert grey.shape == (2, 2, 3)
    assert (grey == 128).all()


def test_a_strip_holds_its_frames(tmp_path: Path) -> None:
    rows = {"input": torch.zeros(4, 3, 32, 32), "forecast": torch.zeros(2, 3, 32, 32)}
    rows["forecast"][1, 0] = 1.0
    picture = strip(rows)
    red = (picture == [255, 0, 0]).all(axis=-1)
    assert red.sum() == 96 * 96
    write_strip(tmp_path / "strip.png", rows)
    with open_video(tmp_path / "strip.png") as video:
        assert np.array_equal(next(iter(video)), picture)


def test_webp_is_exact_unless_a_quality_is_asked_for() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    exact, lossy = encode(noise, ".webp"), encode(noise, ".webp", quality=50)
    decoded = cv2.imdecode(np.frombuffer(exact, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.array_equal(decoded[..., ::-1], noise)
    assert len(lossy) < len(exact)
