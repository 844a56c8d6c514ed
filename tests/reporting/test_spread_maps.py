from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from convlstm_cli.reporting.spread_maps import NOT_FORECAST, SATURATED, SCALES, SpreadMaps
from convlstm_cli.video.colour import Frame
from convlstm_cli.video.readers import open_video


def first_column_is_padding(level: Frame) -> tuple[Frame, npt.NDArray[np.bool_]]:
    """The frame at its own size, of which the first column is not forecast."""
    forecast = np.ones(level.shape[:2], bool)
    forecast[:, 0] = False
    return level, forecast


def collected(folder: Path, spread: Tensor) -> SpreadMaps:
    """The maps of a spread (1, T, C, H, W) that comes in two pieces."""
    maps = SpreadMaps(folder, spread.shape[1])
    maps.add(spread[:, :1])
    maps.add(spread[:, 1:])
    return maps


@pytest.mark.parametrize("channels", [1, 3])
def test_the_numbers_are_kept_on_request(tmp_path: Path, channels: int) -> None:
    spread = torch.rand(1, 3, channels, 16, 20) * 0.1
    maps = collected(tmp_path, spread)
    expected = spread[0].permute(0, 2, 3, 1).numpy()
    assert maps.by_lead_time == pytest.approx(np.sqrt(np.square(expected).mean(axis=(1, 2, 3))).tolist(), rel=1e-5)
    maps.write(first_column_is_padding, keep=True)
    kept = np.load(tmp_path / "spread.npy")
    assert kept.dtype == np.float16
    assert kept.shape == ((3, 16, 20) if channels == 1 else (3, 16, 20, 3))
    assert np.array_equal(kept.reshape(expected.shape), expected.astype(np.float16))


def test_the_numbers_are_removed_otherwise(tmp_path: Path) -> None:
    collected(tmp_path, torch.rand(1, 2, 1, 16, 16)).write(first_column_is_padding, keep=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["spread"]
    assert (tmp_path / "spread" / "legend.svg").is_file()


@pytest.mark.parametrize(("highest", "scale"), [(0.0, 0.01), (0.0095, 0.01), (0.03, 0.05), (0.7, 1.0), (1.0, 1.0)])
def test_the_scale_is_the_least_step_that_holds_the_spread(tmp_path: Path, highest: float, scale: float) -> None:
    assert scale in SCALES
    assert (
        collected(tmp_path, torch.full((1, 2, 1, 16, 16), highest)).write(first_column_is_padding, keep=False) == scale
    )


def test_a_few_large_values_do_not_darken_the_others(tmp_path: Path) -> None:
    spread = torch.full((1, 2, 1, 64, 64), 0.009)
    count = int(SATURATED * spread.numel())
    spread.flatten()[:count] = 0.9
    assert collected(tmp_path, spread).write(first_column_is_padding, keep=False) == 0.01


def test_brighter_is_more_spread_and_grey_is_not_forecast(tmp_path: Path) -> None:
    spread = torch.linspace(0, 0.05, 16).expand(1, 2, 1, 16, 16)
    collected(tmp_path, spread).write(first_column_is_padding, keep=False)
    with open_video(tmp_path / "spread") as video:
        pictures = list(video)
    assert len(pictures) == 2
    for picture in pictures:
        assert (picture[:, 0] == NOT_FORECAST).all()
        brightness = picture[0, 1:].astype(float).sum(axis=-1)
        assert (np.diff(brightness) > 0).all()
