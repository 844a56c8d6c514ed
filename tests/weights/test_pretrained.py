import itertools
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from helpers import data_record, moving_square

from convlstm_cli.errors import UsageError
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.runs.run import Run
from convlstm_cli.video.readers import open_video
from convlstm_cli.weights import NAME
from convlstm_cli.weights.pretrained import (
    CHANNELS,
    Pretrained,
    card,
    digest_of,
    free_folder,
    is_pretrained,
    means_run,
    model_of,
    open_run,
    weights_of,
)

SAMPLES = Path(__file__).parents[2] / "sample_data"


@pytest.mark.parametrize(("name", "channels"), CHANNELS.items())
def test_the_card_describes_the_weights_beside_it(name: str, channels: int) -> None:
    found = card(name)
    assert found["progress"]["clips"] > 0
    assert found["progress"]["seconds"] > 0
    assert {"seed", "loss"} <= found["training"].keys()
    assert {"generator", "machine", "versions"} <= found.keys()
    assert model_of(name).channels == channels
    EncoderForecaster(model_of(name)).load_state_dict(weights_of(name))
    assert all(value.dtype == torch.float32 and value.isfinite().all() for value in weights_of(name).values())
    assert len(digest_of(name)) == 64


@pytest.mark.parametrize("channels", [1, 3])
def test_the_weights_follow_motion_that_copying_misses(channels: int) -> None:
    frames = torch.from_numpy(moving_square(16, seed=1, size=64, channels=channels)).permute(0, 3, 1, 2)[None] / 255
    model = Pretrained(channels).load_model(torch.device("cpu"))
    with torch.inference_mode():
        forecast = model(frames[:, :10], 6)
    copying = (frames[:, 9:10] - frames[:, 10:]).square().mean()
    assert (forecast - frames[:, 10:]).square().mean() < 0.6 * copying


def test_a_run_that_saw_no_video_at_any_size() -> None:
    run = Pretrained(3, 48, 80, "crop")
    assert (run.name, run.folder) == (NAME, Path(NAME))
    assert (run.model_config.height, run.model_config.width, run.model_config.channels) == (48, 80, 3)
    assert (run.geometry.height, run.geometry.width, run.geometry.fit) == (48, 80, "crop")
    assert not run.was_trained_on(Path("a.mkv"), 1, 9)
    assert (run.epochs(), run.result()) == ([], None)
    assert run.at_size(32, 16).geometry.height == 32
    grey = run.for_channels(1)
    assert (grey.model_config.channels, grey.geometry) == (1, run.geometry)
    with pytest.raises(UsageError, match="--size has height 50"):
        run.at_size(50, 64)


def test_beside_another_run_it_is_settled() -> None:
    record: dict[str, Any] = {"model": {"height": 32, "width": 48, "channels": 3}, "data": data_record(32, 48, 3)}
    run = Pretrained.beside(Run(Path("other"), record))
    assert (run.model_config.channels, run.geometry.width) == (3, 48)
    assert run.has_own_size
    assert run.for_channels(1) is run


def test_a_run_folder_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_pretrained(Path(NAME))
    assert means_run(Path(NAME))
    assert isinstance(open_run(Path(NAME)), Pretrained)
    assert free_folder(Path(NAME), "export") == Path("exports/pretrained-1")
    assert free_folder(Path("runs/a"), "export") == Path("runs/a/export-1")
    Path(NAME).mkdir()  # any other folder of the name changes nothing
    np.save(f"{NAME}/video.npy", moving_square(3, seed=0))
    assert is_pretrained(Path(NAME))
    Run.create(Path("made"), {"model": {"height": 64, "width": 64, "channels": 1}, "data": data_record(64, 64)})
    (Path("made") / "model.safetensors").touch()
    (Path(NAME) / "video.npy").unlink()
    Path(NAME).rmdir()
    Path("made").rename(NAME)
    assert not is_pretrained(Path(NAME))
    assert not isinstance(open_run(Path(NAME)), Pretrained)


def grid_share(frames: npt.NDArray[np.floating[Any]], patch: int) -> float:
    """How far the gradients of frames (T, H, W) rise and fall with the patch grid, as a share of their mean."""
    shares = []
    for axis in (1, 2):
        energy = (np.diff(frames, axis=axis) ** 2).mean(axis=(0, 3 - axis))
        energy = energy[: len(energy) // patch * patch]
        spectrum = np.abs(np.fft.rfft(energy)) / energy.sum()
        grid = len(energy) // patch
        shares += [spectrum[grid], spectrum[2 * grid]]
    return float(max(shares))


def test_forecasts_show_no_patch_grid() -> None:
    """Where patches are forecast apart, frames step at the borders of 4x4 blocks."""
    model, patch = Pretrained(1).load_model(torch.device("cpu")), model_of("grey").patch_size
    truths, forecasts = [], []
    for path in sorted(SAMPLES.glob("*/*"))[::5]:
        with open_video(path) as video:
            clip = np.stack([frame[:, :, :1] for frame in itertools.islice(video, 20)]).astype(np.float32) / 255
        with torch.inference_mode():
            forecast = model(torch.from_numpy(clip[:10]).permute(0, 3, 1, 2)[None], 10)
        truths.append(clip[10:, :, :, 0])
        forecasts.append(forecast[0, :, 0].numpy())
    truth, forecast = np.concatenate(truths), np.concatenate(forecasts)
    blocks = forecast[:, ::patch, ::patch].repeat(patch, axis=1).repeat(patch, axis=2)
    assert grid_share(blocks, patch) > 0.9
    assert grid_share(forecast, patch) < grid_share(truth, patch)
