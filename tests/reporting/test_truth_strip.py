from pathlib import Path

import torch

from convlstm_cli.reporting.truth_strip import FRAMES, TruthStrip
from convlstm_cli.video.opencv import cv2


def test_the_first_lead_times_are_shown_whatever_the_pieces(tmp_path: Path) -> None:
    inputs = torch.randint(0, 256, (1, 4, 1, 16, 24), dtype=torch.uint8)
    forecast, truth = torch.rand(2, 1, FRAMES + 9, 1, 16, 24)
    for name, piece in (("whole", FRAMES + 9), ("pieces", 7)):
        strip = TruthStrip(inputs)
        for first in range(0, FRAMES + 9, piece):
            strip.add(forecast[:, first : first + piece], truth[:, first : first + piece])
        strip.write(tmp_path / f"{name}.png")
    assert (tmp_path / "whole.png").read_bytes() == (tmp_path / "pieces.png").read_bytes()
    shorter = TruthStrip(inputs)
    shorter.add(forecast[:, :FRAMES], truth[:, :FRAMES])
    shorter.write(tmp_path / "shorter.png")
    assert (tmp_path / "shorter.png").read_bytes() == (tmp_path / "whole.png").read_bytes()


def test_a_forecast_beyond_the_truth_is_not_shown(tmp_path: Path) -> None:
    widths = []
    for known in (1, 3):
        strip = TruthStrip(torch.zeros(1, 2, 1, 16, 16, dtype=torch.uint8))
        strip.add(torch.rand(1, 8, 1, 16, 16), torch.rand(1, known, 1, 16, 16))
        strip.write(tmp_path / "strip.png")
        picture = cv2.imread(str(tmp_path / "strip.png"))
        assert picture is not None
        widths.append(picture.shape[1])
    assert widths[0] < widths[1]
