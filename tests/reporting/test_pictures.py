from pathlib import Path

import numpy as np
import pytest
import torch

from convlstm_cli.reporting.pictures import bar, encode, strip, thumbnail, to_image, with_bar, write_strip
from convlstm_cli.video.colour_bar import drawable
from convlstm_cli.video.opencv import cv2
from convlstm_cli.video.painting import MISSING, Painter
from convlstm_cli.video.readers import open_video
from convlstm_cli.video.values import ValueRange


def test_frames_become_pictures_with_colours_in_place() -> None:
    red = torch.zeros(3, 2, 2)
    red[0] = 1.0
    assert (to_image(red, Painter()) == [255, 0, 0]).all()
    grey = to_image(torch.full((1, 2, 2), 0.5), Painter())
    assert grey.shape == (2, 2, 3)
    assert (grey == 128).all()


def test_a_title_is_written_in_letters_that_opencv_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    texts: list[str] = []
    monkeypatch.setattr("convlstm_cli.reporting.pictures.write_text", lambda _, text, *__, **___: texts.append(text))
    strip({"input": torch.zeros(2, 1, 32, 32)}, Painter(), "Zellen: MSE 3 (mm/h)²")
    assert texts[-1] == drawable("Zellen: MSE 3 (mm/h)²")
    assert "?" not in texts[-1]


def test_a_strip_holds_its_frames(tmp_path: Path) -> None:
    rows = {"input": torch.zeros(4, 3, 32, 32), "forecast": torch.zeros(2, 3, 32, 32)}
    rows["forecast"][1, 0] = 1.0
    picture = strip(rows, Painter())
    red = (picture == [255, 0, 0]).all(axis=-1)
    assert red.sum() == 96 * 96
    write_strip(tmp_path / "strip.png", rows, Painter())
    with open_video(tmp_path / "strip.png") as video:
        assert np.array_equal(next(iter(video)), picture)


def test_webp_is_exact_unless_a_quality_is_asked_for() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (16, 24, 3), np.uint8)
    exact, lossy = encode(noise, ".webp"), encode(noise, ".webp", quality=50)
    decoded = cv2.imdecode(np.frombuffer(exact, np.uint8), cv2.IMREAD_COLOR)
    assert decoded is not None
    assert np.array_equal(decoded[..., ::-1], noise)
    assert len(lossy) < len(exact)


def test_a_strip_of_measured_values_has_a_colour_bar_and_shows_what_is_missing(tmp_path: Path) -> None:
    painter = Painter(ValueRange(-10.0, 60.0, "dBZ"))
    rows = {"input": torch.full((3, 1, 48, 48), 0.5), "forecast": torch.zeros(2, 1, 48, 48)}
    plain = with_bar([strip(rows, painter)], [rows], painter)
    rows["forecast"][0, 0, :, :24] = torch.nan
    write_strip(tmp_path / "strip.png", rows, painter)
    with open_video(tmp_path / "strip.png") as video:
        picture = next(iter(video))
    assert picture.shape[0] == plain.shape[0] > strip(rows, painter).shape[0]
    assert (picture == painter.colours[128]).all(axis=2).sum() >= 3 * 96 * 96
    assert (picture == MISSING).all(axis=2).sum() > 48 * 96 > (plain == MISSING).all(axis=2).sum()
    assert bar([rows], Painter()) is None
    assert bar([], painter) is None


def test_strips_of_several_widths_stand_below_each_other() -> None:
    strips = [np.zeros((4, width, 3), np.uint8) for width in (5, 9)]
    stacked = with_bar(strips, [], Painter())
    assert stacked.shape == (8, 9, 3)
    assert (stacked[:4, 5:] == 24).all()


def test_a_thumbnail_is_the_mean_of_what_is_known() -> None:
    frames = torch.tensor([[[[1.0, torch.nan, 0.2, torch.nan], [1.0, torch.nan, torch.nan, torch.nan]]]])
    shrunk = thumbnail(frames, 2)
    assert shrunk.shape == (1, 1, 1, 2)
    assert shrunk[0, 0, 0, 0] == 1.0
    assert shrunk[0, 0, 0, 1].isnan()
    assert torch.equal(thumbnail(frames, 4).nan_to_num(9), frames.nan_to_num(9))
