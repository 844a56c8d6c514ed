from pathlib import Path

import numpy as np
import torch

from convlstm_cli.reporting.truth_strip import FRAMES, TruthStrip
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.painting import MISSING, Painter
from convlstm_cli.video.tensors import clip_tensor
from convlstm_cli.video.values import ValueRange


def test_the_first_lead_times_are_shown_whatever_the_pieces(tmp_path: Path) -> None:
    inputs = torch.randint(0, 256, (1, 4, 1, 16, 24), dtype=torch.uint8)
    forecast, truth = torch.rand(2, 1, FRAMES + 9, 1, 16, 24)
    for name, piece in (("whole", FRAMES + 9), ("pieces", 7)):
        strip = TruthStrip(inputs, Painter())
        for first in range(0, FRAMES + 9, piece):
            strip.add(forecast[:, first : first + piece], truth[:, first : first + piece])
        strip.write(tmp_path / f"{name}.png")
    assert (tmp_path / "whole.png").read_bytes() == (tmp_path / "pieces.png").read_bytes()
    shorter = TruthStrip(inputs, Painter())
    shorter.add(forecast[:, :FRAMES], truth[:, :FRAMES])
    shorter.write(tmp_path / "shorter.png")
    assert (tmp_path / "shorter.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


def test_a_forecast_beyond_the_truth_is_not_shown(tmp_path: Path) -> None:
    widths = []
    for known in (1, 3):
        strip = TruthStrip(torch.zeros(1, 2, 1, 16, 16, dtype=torch.uint8), Painter())
        strip.add(torch.rand(1, 8, 1, 16, 16), torch.rand(1, known, 1, 16, 16))
        strip.write(tmp_path / "strip.png")
        picture = cv2.imread(str(tmp_path / "strip.png"))
        assert picture is not None
        widths.append(picture.shape[1])
    assert widths[0] < widths[1]


def test_what_is_missing_is_shown_as_such_in_every_row(tmp_path: Path) -> None:
    values = ValueRange(0.0, 40.0)
    frames = np.full((4, 48, 48, 1), 20.0, np.float32)
    frames[:, :, :12] = np.nan  # always
    frames[0, :12] = np.nan
    clip = clip_tensor(frames, values)[None]
    strip = TruthStrip(clip[:, :3], Painter(values))
    strip.add(torch.full((1, 1, 1, 48, 48), 0.25), clip[:, 3:])
    strip.write(tmp_path / "strip.png")
    picture = np.asarray(cv2.imread(str(tmp_path / "strip.png")))
    area = 96 * 24
    missing = 3 * area + 72 * 24 + area + area  # the input's, the truth's and the forecast's
    swatch = 12 * 12
    assert missing + swatch <= (picture == MISSING).all(axis=2).sum() < missing + swatch + 50  # and some of the letters
