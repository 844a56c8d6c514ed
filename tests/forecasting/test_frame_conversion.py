from pathlib import Path

import numpy as np
import pytest
import torch
from prediction import frames_of, make_run, one

from convlstm_cli.errors import InputError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.conversion import FrameConversion, check_channels, fitted
from convlstm_cli.video.colour_bar import ROOM
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.painting import MISSING
from convlstm_cli.video.tensors import to_float
from convlstm_cli.video.values import BYTES, ValueRange


@pytest.mark.parametrize("fit", ["pad", "crop", "stretch"])
def test_output_has_the_size_and_colour_of_the_source(tmp_path: Path, fit: str) -> None:
    source = tmp_path / "wide.npy"
    smooth = np.linspace(0, 200, 50)[None, None, :, None] + np.zeros((6, 30, 50, 3))
    np.save(source, (smooth + np.array([0, 5, 10])).astype(np.uint8))
    forecast = one(make_run(tmp_path / "run", channels=3, fit=fit), source, tmp_path / "out")
    written = frames_of(forecast.folder)
    assert written.shape == (3, 30, 50, 3)
    assert np.abs(written[0].astype(int) - np.load(source)[5].astype(int)).mean() < 6


def test_the_models_own_size_on_request(tmp_path: Path) -> None:
    source = tmp_path / "wide.npy"
    np.save(source, np.zeros((6, 30, 50), np.uint8))
    run = make_run(tmp_path / "run")
    forecast = one(run, source, tmp_path / "out", PredictConfig(size="model", at=5))
    assert frames_of(forecast.folder).shape == (3, 32, 32, 1)


def test_fitted_frames_come_back_as_frames() -> None:
    frames = list(np.random.default_rng(0).integers(0, 256, (3, 20, 30, 3), np.uint8))
    assert fitted(frames, FrameGeometry(16, 16), 1).shape == (3, 16, 16, 1)
    np.testing.assert_array_equal(fitted(frames, None, 3), frames)


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "int32", "float32", "float64"])
def test_frames_come_back_from_the_network_with_their_values(dtype: str) -> None:
    frames = np.random.default_rng(0).integers(40, 120, (3, 20, 40, 1)).astype(dtype)
    for values in (BYTES, ValueRange(30.0, 130.0), ValueRange(30.0, 130.0, log=True)):
        conversion = FrameConversion(None, at_model_size=False, last=frames[-1], values=values)
        clip = to_float(conversion.to_clip(frames), torch.device("cpu"))
        assert clip.shape == (1, 3, 1, 20, 40)
        assert 0 <= clip.min() < clip.max() <= 1
        back = np.stack([conversion.to_values(frame) for frame in clip[0]])
        assert back.dtype == frames.dtype
        np.testing.assert_allclose(back, frames, rtol=1e-5, atol=1e-3)


@pytest.mark.parametrize("geometry", [None, FrameGeometry(16, 16, "stretch")])
def test_the_spread_of_pixels_that_never_have_a_value_is_not_shown_as_none(geometry: FrameGeometry | None) -> None:
    last = np.zeros((16, 16, 2), np.float32)
    unknowable = np.zeros(last.shape, bool)
    unknowable[:4], unknowable[4] = True, (True, False)
    conversion = FrameConversion(
        geometry, at_model_size=False, last=last, values=ValueRange(0.0, 80.0), unknowable=unknowable
    )
    level, forecast = conversion.spread(np.full((16, 16, 1), 7, np.uint8))
    assert (level == 7).all()
    np.testing.assert_array_equal(forecast, np.arange(16)[:, None] >= np.full(16, 4))


def test_padding_is_the_least_value_of_the_range() -> None:
    frames = np.full((2, 20, 40, 1), 30_000, np.uint16)
    conversion = FrameConversion(
        FrameGeometry(16, 16), at_model_size=False, last=frames[-1], values=ValueRange(-40_000.0, 30_000.0)
    )
    clip = conversion.to_clip(fitted(list(frames), conversion.geometry, 1))
    assert set(clip.flatten().tolist()) == {0.0, 1.0}
    assert (clip[0, 0, 0, 4:12] == 1).all()


def test_what_was_cropped_away_is_the_last_frame_and_has_no_spread() -> None:
    last = np.full((20, 40, 3), 7, np.uint8)
    conversion = FrameConversion(FrameGeometry(20, 20, "crop"), at_model_size=False, last=last, values=BYTES)
    grey = np.full((20, 20, 1), 200, np.uint8)
    forecast = conversion.to_written(grey)
    assert forecast.shape == last.shape
    assert (forecast[:, :10] == 7).all()
    assert (forecast[:, 10:30] == 200).all()
    level, where = conversion.spread(grey)
    assert level.shape == (20, 40, 1)
    assert where.sum() == 20 * 20
    assert FrameConversion(conversion.geometry, at_model_size=True, last=last, values=BYTES).to_written(grey).shape == (
        20,
        20,
        3,
    )


def test_previews_of_measured_values_have_colours_and_a_bar_where_there_is_room() -> None:
    for rows in (ROOM - 1, ROOM):
        frame = np.full((rows, 40, 1), 20.0, np.float32)
        frame[:, :10] = np.nan
        conversion = FrameConversion(None, at_model_size=True, last=frame, values=ValueRange(0.0, 40.0, "mm/h"))
        preview = conversion.preview(frame)
        assert preview.shape[0] == rows
        assert (preview.shape[1] > 40) == (rows == ROOM)
        assert (preview[:, :10] == MISSING).all()
        assert (preview[:, 10:40] == conversion.painter.colours[128]).all()
        assert set(conversion.picture(frame).ravel().tolist()) == {0, 128}
    grey = np.full((ROOM, 40, 1), 20, np.uint8)
    conversion = FrameConversion(None, at_model_size=True, last=grey, values=BYTES)
    assert not conversion.has_colours
    assert conversion.preview(grey) is grey


@pytest.mark.parametrize(
    ("found", "channels", "advice"),
    [
        (2, 3, "choose one with --channels 0"),
        (2, 1, "choose one with --channels 0"),
        (5, 3, "choose 3 with --channels 0,1,2"),
        (1, 5, "give a source with 5"),
    ],
)
def test_other_channels_come_with_what_the_network_can_take(found: int, channels: int, advice: str) -> None:
    forecasts = "1 or 3" if channels == 3 else channels
    with pytest.raises(InputError, match=rf"^a\.tif: has {found} .* and run forecasts {forecasts}; {advice}\.$"):
        check_channels(Path("a.tif"), found, "run", channels)
