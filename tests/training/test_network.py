from pathlib import Path

import numpy as np
import pytest

from convlstm_cli.compute.device import choose
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import evaluate_clips
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.network import for_videos
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare

MODEL = ForecasterConfig(16, 16, 3, hidden=(4,), input_frames=4, horizon=2)


def radar(folder: Path, hole: float) -> VideoData:
    """Videos of which all have a pixel of the value `hole`."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        frames = random.uniform(0, 50, (9, 16, 16)).astype(np.float32)
        frames[:, 3:6, number] = hole
        np.save(folder / f"{'abcd'[number]}.npy", frames)
    return prepare(DataConfig((str(folder),), height=16, width=16, group_by="none"), 4, 2)


@pytest.mark.parametrize("hole", [np.nan, 7.0])
def test_the_network_reads_a_mask_where_training_frames_have_missing_pixels(tmp_path: Path, hole: float) -> None:
    data = radar(tmp_path / "videos", hole)
    model = for_videos(MODEL, data, TrainConfig())
    assert (model.channels, model.mask) == (1, bool(np.isnan(hole)))
    network, seen = EncoderForecaster(model).eval(), []
    network.register_forward_pre_hook(lambda _module, given: seen.append(given[0].shape[2]))
    found = evaluate_clips(network, data.clips("test"), choose("cpu"), 2, baselines=BASELINES, guard=True)
    assert set(seen) == {1 + model.mask}
    assert found.guarded is not None
    assert all(np.isfinite(scores.mse).all() for scores in found.systems.values())
