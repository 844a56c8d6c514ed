"""Channels that are read and not forecast, from the videos to the forecast."""

from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from prediction import one

from convlstm_cli.cli.inspection import plan
from convlstm_cli.cli.inspection_views import plan_view
from convlstm_cli.compute.device import choose
from convlstm_cli.errors import InputError, UsageError
from convlstm_cli.export import export
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import evaluate_clips
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.network import for_videos
from convlstm_cli.training.step import TrainStep
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import VideoData, prepare, restore
from convlstm_cli.video.tensors import to_float

Values = NDArray[np.generic]
MODEL = ForecasterConfig(16, 16, 1, hidden=(4,), input_frames=4, horizon=2)
INPUT_ONLY: dict[str, Any] = {"channels": ("rain",), "input_only": ("height",)}
KNOWN: dict[str, Any] = {**INPUT_ONLY, "known_future": ("wind",)}


def save(path: Path, seed: int, **others: Values) -> Path:
    random = np.random.default_rng(seed)
    arrays: dict[str, Any] = {
        "rain": random.uniform(0, 9, (10, 16, 16)).astype(np.float32),
        "wind": random.uniform(-20, 20, (10, 16, 16)).astype(np.float32),
        "height": random.integers(0, 3000, (16, 16)).astype(np.int16),
    }
    np.savez(path, **arrays | others)
    return path


def videos(folder: Path, **settings: Any) -> VideoData:
    if not folder.exists():
        folder.mkdir()
        for seed in range(4):
            save(folder / f"{'abcd'[seed]}.npz", seed)
    return prepare(DataConfig((str(folder),), height=16, width=16, group_by="none", **settings), 4, 2)


def run_of(folder: Path, data: VideoData, **model: Any) -> Run:
    torch.manual_seed(0)
    network = EncoderForecaster(for_videos(replace(MODEL, **model), data, TrainConfig()))
    for parameter in network.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    run = Run.create(folder, {"model": asdict(network.config), "training": {}, "data": data.to_dict()})
    run.save_weights(network.state_dict())
    return Run.open(folder)


def test_clips_hold_what_is_read_beside_what_is_forecast(tmp_path: Path) -> None:
    alone, data = videos(tmp_path / "videos", channels=("rain",)), videos(tmp_path / "videos", **KNOWN)
    assert (data.channels, [(each.channel, each.known) for each in data.guides]) == (
        1,
        [("height", False), ("wind", True)],
    )
    clips = data.clips("train")
    clip = clips[0]
    assert clip.shape == (6, 3, 16, 16)
    assert torch.equal(clip[:, :1], alone.clips("train")[0])
    with np.load(tmp_path / "videos" / clips.clips[0][0]) as source:
        height, wind = (data.guides[at].values.from_unit(clip[:, at + 1].numpy()) for at in range(2))
        np.testing.assert_allclose(height, np.broadcast_to(source["height"], height.shape), atol=20)
        np.testing.assert_allclose(wind, source["wind"][:6], atol=0.5)
    again = restore(data.to_dict(), 4, 2)
    assert again.guides == data.guides
    assert torch.equal(again.clips("train")[0], clip)


@pytest.mark.parametrize("forecaster", ["advected", "autoregressive", "unconditioned"])
def test_guides_are_learned_from_and_count_in_no_score(tmp_path: Path, forecaster: Any) -> None:
    alone, data = videos(tmp_path / "videos", channels=("rain",)), videos(tmp_path / "videos", **KNOWN)
    model = for_videos(replace(MODEL, forecaster=forecaster), data, TrainConfig())
    step = TrainStep(model, TrainConfig(device="cpu"), choose("cpu"), None)
    batch = to_float(torch.stack([data.clips("train")[0]] * 2), torch.device("cpu"))
    loss = step.differentiate(batch)
    gradients = [step.network.get_parameter(f"{name}.0.weight_ih").grad for name in ("encoder", "forecaster")]
    for gradient, channels in zip(gradients, (3, 1 if forecaster == "unconditioned" else 2), strict=True):
        assert gradient is not None
        assert (gradient.reshape(16, channels, -1).abs().amax(dim=(0, 2)) > 0).all()
    altered = batch.clone()
    altered[:, 4:, 1] = 1 - altered[:, 4:, 1]  # the height of frames to forecast, which nothing reads
    assert step.differentiate(altered) == loss
    found = evaluate_clips(step.averaged, data.clips("test"), choose("cpu"), 2, baselines=BASELINES, guard=True)
    plain = evaluate_clips(EncoderForecaster(MODEL), alone.clips("test"), choose("cpu"), 2, baselines=BASELINES)
    for name, baseline in plain.baselines.items():
        assert baseline.mse == found.baselines[name].mse


@pytest.mark.parametrize("settings", [{}, {"native_size": True}, {"native_size": True, "tile": 16}])
def test_a_forecast_depends_on_what_is_read_beside_its_input(tmp_path: Path, settings: dict[str, Any]) -> None:
    run = run_of(tmp_path / "run", videos(tmp_path / "videos", **KNOWN))
    rain = np.random.default_rng(9).uniform(0, 9, (10, 24, 24)).astype(np.float32)
    arrays: dict[str, Any] = {"rain": rain, "wind": rain - 5, "height": np.arange(576, dtype=np.int16).reshape(24, 24)}
    later = arrays["wind"].copy()
    later[7:] += 9
    found = {}
    for name, others in {"a": {}, "height": {"height": arrays["height"][::-1]}, "wind": {"wind": later}}.items():
        source = save(tmp_path / f"{name}.npz", 9, **arrays | others)
        forecast = one(run, source, tmp_path / "out", PredictConfig(formats=("npy",), at=6, frames=3, **settings))
        found[name] = np.load(forecast.folder / "forecast.npy")
        assert found[name].shape == (3, 24, 24)
        assert forecast.scores is not None
    assert (found["height"] != found["a"]).any(axis=(1, 2)).all()
    np.testing.assert_array_equal(found["wind"][:1], found["a"][:1])
    assert (found["wind"] != found["a"]).any(axis=(1, 2)).tolist() == [False, True, True]


def test_a_plan_shows_what_is_read_beside_what_is_forecast(tmp_path: Path) -> None:
    data = videos(tmp_path / "videos", **KNOWN)
    found = plan(data, for_videos(MODEL, data, TrainConfig()), TrainConfig(batch_size=2), choose("cpu"))
    assert found.batch_shape == (2, 6, 3, 16, 16)
    lines = [line for line in plan_view(found) if isinstance(line, str)]
    assert [line.split(",")[0] for line in lines if "is read and not forecast" in line] == ["height", "wind"]
    assert [each["known"] for each in found.to_dict()["guides"]] == [False, True]


def test_what_an_input_lacks_is_named(tmp_path: Path) -> None:
    run = run_of(tmp_path / "run", videos(tmp_path / "videos", **KNOWN))
    source = save(tmp_path / "a.npz", 9)
    with pytest.raises(InputError, match=r"holds 0 of the 2 frames after frame 10, .* needs wind .* with --at\."):
        one(run, source, tmp_path / "out")
    with pytest.raises(InputError, match=r"holds 1 of the 2 frames after frame 9, .* or fewer with --frames 1"):
        one(run, source, tmp_path / "out", PredictConfig(at=9))
    np.savez(tmp_path / "b.npz", rain=np.zeros((8, 16, 16), np.float32))
    with pytest.raises(InputError, match="run, trained with --input-only, asks for height"):
        one(run, tmp_path / "b.npz", tmp_path / "out", PredictConfig(at=6))
    with pytest.raises(UsageError, match="known ahead"):
        export(run, tmp_path / "exported")


def test_bands_that_are_read_alone_are_left_out_of_what_is_forecast(tmp_path: Path) -> None:
    (tmp_path / "videos").mkdir()
    frames = np.random.default_rng(0).integers(0, 256, (3, 9, 16, 16, 4), np.uint8)
    for number in range(3):
        np.save(tmp_path / "videos" / f"{'abc'[number]}.npy", frames[number])
    data = videos(tmp_path / "videos", input_only=(1,))
    assert (data.channels, len(data.guides)) == (3, 1)
    name, start = data.clips("train").clips[0]
    clip = data.clips("train")[0]
    assert clip.dtype == torch.uint8
    source = frames["abc".index(name[0]), start : start + 6]
    np.testing.assert_array_equal(clip.permute(0, 2, 3, 1), source[..., [0, 2, 3, 1]])


def test_a_channel_is_named_once() -> None:
    with pytest.raises(UsageError, match="wind is named by two"):
        DataConfig(("videos",), input_only=("wind",), known_future=("wind",))
