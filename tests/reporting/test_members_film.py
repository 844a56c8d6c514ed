from pathlib import Path

import numpy as np
import pytest
import torch

from convlstm_cli.forecasting.conversion import FrameConversion
from convlstm_cli.forecasting.members import members_file
from convlstm_cli.forecasting.statistics import Statistics
from convlstm_cli.reporting.members_film import GAP, LINE, MembersFilm
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.values import BYTES, ValueRange

PANEL = 128 + LINE + GAP, 128 + GAP


def film(folder: Path, levels: list[float], conversion: FrameConversion) -> np.ndarray:
    """The frames of the film of members that are each of one level."""
    shape = len(levels), 2, 1, 32, 32
    with members_file(folder / "members", shape) as file:
        file.put(range(len(levels)), 0, torch.tensor(levels).view(-1, 1, 1, 1, 1).expand(shape))
        statistics, made = Statistics(conversion.values), MembersFilm(folder, file)
        for lead in range(file.horizon):
            made.add(statistics.at(file, lead))
        made.write(folder / "members.webm", conversion, 10.0, 0.5)
    assert [path.name for path in folder.iterdir()] == ["members.webm"]
    with open_video(folder / "members.webm") as video:
        return np.stack(list(video))


def centre(frames: np.ndarray, row: int, column: int) -> float:
    """Mean level of the middle of a panel in the second frame."""
    top, left = row * PANEL[0] + LINE + 32, column * PANEL[1] + 32
    return float(frames[1, top : top + 64, left : left + 64].mean())


@pytest.mark.parametrize("count", [2, 3, 6])
def test_members_stand_beside_their_mean_and_their_spread(count: int, tmp_path: Path) -> None:
    levels = [0.2, 0.4, 0.6, 0.8, 1.0, 0.0][:count]
    frames = film(tmp_path, levels, FrameConversion(None, False, np.zeros((32, 32, 1), np.uint8), BYTES))
    columns = 1 + -(-min(count, 4) // 2)
    assert frames.shape == (2, 2 * PANEL[0], columns * PANEL[1], 3)
    for number, level in enumerate(levels[:4]):
        assert centre(frames, number % 2, number // 2) == pytest.approx(255 * level, abs=4)
    assert centre(frames, 0, columns - 1) == pytest.approx(255 * np.mean(levels), abs=4)
    assert frames[1, PANEL[0] + LINE + 32, columns * PANEL[1] - 64].std() > 10  # the spread is in colours


def test_measured_values_have_a_colour_bar(tmp_path: Path) -> None:
    conversion = FrameConversion(None, False, np.zeros((32, 32, 1), np.float32), ValueRange(0.0, 40.0, "mm/h"))
    frames = film(tmp_path, [0.2, 0.4], conversion)
    assert frames.shape[2] > 2 * PANEL[1] + 20
