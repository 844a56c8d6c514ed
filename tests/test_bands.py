from pathlib import Path

import numpy as np
import pytest
from prediction import one

from convlstm_cli.cli.inspection import inspect_video
from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.colour import luminance, to_channels
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare
from convlstm_cli.weights.pretrained import Pretrained


def save_bands(folder: Path, channels: int = 4) -> Path:
    folder.mkdir()
    for number in range(3):
        array = np.random.default_rng(number).uniform(200, 300, (12, 20, 24, channels)).astype(np.float32)
        np.save(folder / f"{number}.npy", array)
    return folder


@pytest.mark.usefixtures("without_charts")
@pytest.mark.parametrize(("chosen", "count"), [(None, 4), ((3, 0), 2), ((3,), 1), ((0, 1, 2), 3)])
def test_bands_are_trained_on_and_forecast(tmp_path: Path, chosen: tuple[int, ...] | None, count: int) -> None:
    folder = save_bands(tmp_path / "bands")
    data = prepare(DataConfig((str(folder),), height=16, width=16, channels=chosen), 3, 2)
    assert data.channels == count
    assert data.clips("train")[0].shape == (5, count, 16, 16)
    model = ForecasterConfig(16, 16, count, hidden=(4,), kernel_size=3, input_frames=3, horizon=2)
    config = TrainConfig(epochs=1, max_steps=1, batch_size=2, device="cpu")
    run = train(data, model, config, tmp_path / "run").run
    forecast = one(run, folder / "0.npy", tmp_path / "out", PredictConfig(formats=("npy", "png")))
    written = np.load(forecast.folder / "forecast.npy")
    assert written.shape == (2, 20, 24, *((count,) if count > 1 else ()))
    assert 190 < written.min() < written.max() < 310


def test_a_video_says_how_many_channels_it_has(tmp_path: Path) -> None:
    source = save_bands(tmp_path / "bands") / "0.npy"
    assert inspect_video(source).colour == "4 channels"
    assert inspect_video(source, channels=(1, 2, 3)).colour == "rgb"
    assert inspect_video(source, channels=(2,)).colour == "grey"
    with pytest.raises(InputError, match=r"0\.npy: --channels asks for 4, and it has the channels 0 to 3; name some"):
        inspect_video(source, channels=(0, 4))


def test_weights_for_pictures_need_one_or_three_channels(tmp_path: Path) -> None:
    source = save_bands(tmp_path / "bands") / "0.npy"
    with pytest.raises(InputError, match=r"0\.npy: has 4 channels, and pretrained forecasts 1 or 3; .*--channels"):
        one(Pretrained(), source, tmp_path / "out")
    forecast = one(Pretrained(), source, tmp_path / "out", PredictConfig(frames=1, formats=("npy",), channels=(3,)))
    assert np.load(forecast.folder / "forecast.npy").shape == (1, 20, 24)


def test_videos_of_other_numbers_of_channels_do_not_go_together(tmp_path: Path) -> None:
    folder = save_bands(tmp_path / "bands")
    np.save(folder / "other.npy", np.random.default_rng(9).uniform(200, 300, (12, 20, 24, 2)).astype(np.float32))
    with pytest.raises(InputError, match=r"2 in 1 video \(other.npy\); 4 in 3 videos .*--channels"):
        prepare(DataConfig((str(folder),), height=16, width=16), 3, 2)
    assert prepare(DataConfig((str(folder),), height=16, width=16, channels=(1,)), 3, 2).channels == 1


def test_luminance_of_bands_is_their_mean_and_they_become_no_colours() -> None:
    frame = np.arange(8, dtype=np.uint8).reshape(1, 2, 4)
    assert luminance(frame)[..., 0].tolist() == [[2, 6]]
    with pytest.raises(InputError, match="4 channels where 3"):
        to_channels(frame, 3)


@pytest.mark.parametrize("channels", [(), (0, 0), (-1,)])
def test_what_is_no_choice_of_channels_is_refused(channels: tuple[int, ...]) -> None:
    with pytest.raises(UsageError, match="--channels"):
        DataConfig((), channels=channels)
