import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from convlstm_cli.compare import compare
from convlstm_cli.data import VideoData, prepare
from convlstm_cli.errors import Interrupted, OutputError, RunError, UsageError
from convlstm_cli.nn import ForecasterConfig
from convlstm_cli.run import Run
from convlstm_cli.settings import DataConfig, TrainConfig
from convlstm_cli.train import initial_network, train
from convlstm_cli.video.reader import open_video

MODEL = ForecasterConfig(32, 32, 1, hidden=(4, 4), kernel_size=3, input_frames=4, horizon=3)
CONFIG = TrainConfig(max_steps=4, batch_size=4, device="cpu")


@pytest.fixture
def data(make_folder: Callable[..., Path]) -> VideoData:
    return prepare(DataConfig((str(make_folder()),), height=32, width=32), 4, 3)


def test_arms_are_matched_and_everything_is_written(data: VideoData, tmp_path: Path) -> None:
    folder = tmp_path / "comparison"
    result = compare(data, MODEL, CONFIG, folder, peepholes=("channel", "none", "full"))
    channel, none, full = result.arms
    assert [arm.peephole for arm in result.arms] == ["channel", "none", "full"]
    assert {arm.steps for arm in result.arms} == {4}
    layers = 4  # two of the encoder, two of the forecaster, four channels and three peepholes each
    assert channel.parameters - none.parameters == layers * 4 * 3
    assert full.parameters - none.parameters == layers * 4 * 3 * 8 * 8
    assert all(arm.step_seconds > 0 for arm in result.arms)
    assert len({tuple(arm.test.persistence.mse) for arm in result.arms}) == 1

    written = json.loads((folder / "comparison.json").read_text())
    assert [arm["peephole"] for arm in written["arms"]] == ["channel", "none", "full"]
    assert len(written["arms"][0]["test"]["by_lead_time"]["mse"]) == 3
    with open_video(folder / "comparison.webm") as video:
        assert len(list(video)) == 3
    assert (folder / "comparison.png").stat().st_size > 1000
    assert Run.open(folder / "none").model_config.peephole == "none"
    with pytest.raises(RunError, match=r"comparison.*channel, .*full, .*none"):
        Run.open(folder)


def test_arms_start_from_the_same_values_where_they_share_weights(data: VideoData, tmp_path: Path) -> None:
    """With a learning rate of next to nothing the trained weights are the initial ones."""
    still = dataclasses.replace(CONFIG, max_steps=1, learning_rate=1e-20, weight_decay=0.0)
    compare(data, MODEL, still, tmp_path / "out", peepholes=("full", "none"))
    full, none = (
        Run.open(tmp_path / "out" / kind).load_model(torch.device("cpu")).state_dict() for kind in ("full", "none")
    )
    assert set(none) < set(full)
    assert all(torch.allclose(full[name], none[name], rtol=0, atol=1e-15) for name in none)


def test_the_plain_arm_is_what_train_gives(data: VideoData, tmp_path: Path) -> None:
    """Nothing about a comparison but its arms changes the training: same seed, same order, same weights."""
    compare(data, MODEL, CONFIG, tmp_path / "out", peepholes=("channel", "none"))
    alone = train(data, dataclasses.replace(MODEL, peephole="none"), CONFIG, tmp_path / "alone")
    arm = Run.open(tmp_path / "out" / "none").load_model(torch.device("cpu")).state_dict()
    assert all(
        torch.equal(arm[name], value) for name, value in alone.run.load_model(torch.device("cpu")).state_dict().items()
    )


def test_zero_peepholes_start_as_the_plain_network() -> None:
    frames = torch.rand(2, 4, 1, 32, 32)
    none = initial_network(dataclasses.replace(MODEL, peephole="none"), 0)
    channel = initial_network(MODEL, 1)
    torch.nn.init.normal_(none.head.conv.weight)
    channel.load_state_dict({**channel.state_dict(), **none.state_dict()})
    assert torch.equal(none(frames), channel(frames))


def test_a_time_becomes_the_same_steps_for_every_arm(data: VideoData, tmp_path: Path) -> None:
    config = TrainConfig(max_time=2.0, batch_size=4, device="cpu")
    result = compare(data, MODEL, config, tmp_path / "out")
    assert len({arm.steps for arm in result.arms}) == 1
    assert Run.open(tmp_path / "out" / "none").train_config.max_time is None


def test_a_comparison_needs_two_kinds(data: VideoData, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two"):
        compare(data, MODEL, CONFIG, tmp_path / "out", peepholes=("none", "none"))


def test_an_existing_folder_is_not_touched(data: VideoData, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(OutputError, match="out"):
        compare(data, MODEL, CONFIG, tmp_path / "out")


def test_an_interrupted_arm_is_saved(data: VideoData, tmp_path: Path) -> None:
    with pytest.raises(Interrupted):
        compare(data, MODEL, CONFIG, tmp_path / "out", should_stop=lambda: True)
    assert (tmp_path / "out" / "none" / "resume.pt").exists()


def test_the_tightest_limit_counts(data: VideoData, tmp_path: Path) -> None:
    result = compare(data, MODEL, dataclasses.replace(CONFIG, max_steps=2, max_time=60.0), tmp_path / "out")
    assert {arm.steps for arm in result.arms} == {2}
