"""`scripts/pretrain`: its clips, its changes of them, and that it goes on where it ended."""

import json
import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from convlstm_cli import synthetic
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import NOISE_GRID
from convlstm_cli.training import losses

sys.path.append(str(Path(__file__).parent.parent / "scripts"))

from pretraining import factory, objective, settings, training
from pretraining.augmentation import augment
from pretraining.factory import CHUNK, Factory, Kind
from pretraining.members_table import members_table
from pretraining.members_table import text as members_text
from pretraining.rings import Rings
from pretraining.stepping import Stepper
from pretraining.zero_shot import ZeroShot, text

SMALL = ["--device", "cpu", "--hidden", "2", "--patch-size", "8", "--sizes", "16x16,16x24", "--batch", "1"]


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of made-up clips, written by one worker."""
    folder = tmp_path_factory.mktemp("clips")
    factory.write_folder(folder, 2, Kind(settings.CLIP_FRAMES, 1, 7), ((16, 16), (16, 24)), workers=1)
    return folder


def chosen(clips: Path, out: Path, *more: str) -> settings.Settings:
    arguments = [*SMALL, "--clips", str(clips), "--out", str(out), "--log-every", "1", *more]
    return settings.parse(arguments)[0]


def test_workers_make_the_clips_of_the_seed(clips: Path) -> None:
    for number, size in enumerate(((16, 16), (16, 24))):
        [made] = factory.read_folder(clips, size)
        assert made.shape == (CHUNK, settings.CLIP_FRAMES, *size, 1)
        for index in (0, CHUNK - 1):
            seed = 7 * 1_000_000_007 + number * CHUNK + index
            assert np.array_equal(made[index], synthetic.clip(seed, settings.CLIP_FRAMES, *size))


def test_a_factory_goes_on_after_the_clips_that_were_made() -> None:
    kind = Kind(4, 1, 0)
    workers = Factory(kind, ((8, 8),), workers=1, first=5 * CHUNK)
    try:
        taken = workers.take(60.0)
    finally:
        workers.close()
    assert taken is not None
    assert np.array_equal(taken[1][0], synthetic.clip(5 * CHUNK, 4, 8, 8))
    assert workers.made > 5 * CHUNK


def test_a_batch_is_drawn_from_the_clips(clips: Path, tmp_path: Path) -> None:
    rings = Rings(chosen(clips, tmp_path), torch.device("cpu"), 0)
    drawn = rings.draw((16, 24), 5, torch.Generator().manual_seed(0))
    [made] = factory.read_folder(clips, (16, 24))
    known = {clip.transpose(0, 3, 1, 2).tobytes() for clip in made}
    assert drawn.shape == (5, settings.CLIP_FRAMES, 1, 16, 24)
    assert all(clip.numpy().tobytes() in known for clip in drawn)


def test_augmented_clips_stay_in_range_and_the_seeds_decide() -> None:
    bytes_ = torch.randint(256, (6, 24, 1, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    shapes = set()
    for seed in range(20):
        both = [augment(bytes_, 12, np.random.default_rng(seed), torch.Generator().manual_seed(seed)) for _ in range(2)]
        assert torch.equal(*both)
        assert both[0].min() >= 0
        assert both[0].max() <= 1 + 1e-6
        shapes.add(both[0].shape)
    assert shapes == {(6, 12, 1, 8, 8)}


def test_it_trains_saves_goes_on_and_describes_itself(
    clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    clock = Clock(2.0)
    monkeypatch.setattr("pretraining.training.time.monotonic", clock)
    training.pretrain(chosen(clips, out, "--minutes", "0.2"))
    card = json.loads((out / "card.json").read_text())
    steps = card["progress"]["steps"]
    assert steps > 3
    weights = load_file(out / "model.safetensors")
    config = card["model"] | {"hidden": tuple(card["model"]["hidden"])}
    EncoderForecaster(ForecasterConfig(**config)).load_state_dict(weights)
    assert card["training"]["seed"] == 0
    assert card["generator"] == synthetic.VERSION

    training.pretrain(chosen(clips, out, "--minutes", "0.4"))
    card = json.loads((out / "card.json").read_text())
    assert card["progress"]["steps"] > steps
    rows = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == list(range(1, card["progress"]["steps"] + 1))
    assert all(np.isfinite(row["loss"]) for row in rows)
    later = load_file(out / "model.safetensors")
    assert any(not torch.equal(later[name], weights[name]) for name in weights)


class Clock:
    """Time that goes on by so many seconds whenever it is asked for."""

    def __init__(self, step: float) -> None:
        self._now, self._step = 0.0, step

    def __call__(self) -> float:
        self._now += self._step
        return self._now


def test_an_interrupted_training_gives_the_weights_of_one_that_was_not(clips: Path, tmp_path: Path) -> None:
    """But for the clock, which sets the learning rates and is the same here."""

    def stepper() -> tuple[Stepper, settings.Settings]:
        options = chosen(clips, tmp_path)
        (tmp_path / "x").mkdir(exist_ok=True)
        return training._stepper(options, options.variants[0], torch.device("cpu")), options

    def learn(into: Stepper, first: int, last: int) -> None:
        for step in range(first, last):
            batch = torch.rand(2, 6, 1, 16, 16, generator=torch.Generator().manual_seed(step))
            into.step(batch, 3, 0.5, step)

    straight, options = stepper()
    learn(straight, 0, 4)
    half, _ = stepper()
    learn(half, 0, 2)
    training._save(options, [half], training.Progress(2, 1.0, 4, 0))
    resumed, _ = stepper()
    assert training._resume(tmp_path, resumed).steps == 2
    learn(resumed, 2, 4)
    for name, value in resumed.network.state_dict().items():
        assert torch.equal(value, straight.network.state_dict()[name]), name
    for name, value in resumed.average.state_dict().items():
        assert torch.equal(value, straight.average.state_dict()[name]), name


def test_variants_learn_from_the_same_batches(clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pretraining.training.time.monotonic", Clock(2.0))
    two = ["--variant", "one --head mix", "--variant", "two --head refined --loss sharp", "--minutes", "0.2"]
    training.pretrain(chosen(clips, tmp_path / "both", *two))
    monkeypatch.setattr("pretraining.training.time.monotonic", Clock(2.0))
    training.pretrain(chosen(clips, tmp_path / "alone", "--head", "mix", "--minutes", "0.2"))
    alone, both = (load_file(tmp_path / name / "model.safetensors") for name in ("alone", "both/one"))
    for name, value in alone.items():
        assert torch.equal(value, both[name]), name
    assert json.loads((tmp_path / "both/two/card.json").read_text())["training"]["loss"] == "sharp"


def test_the_loss_over_the_best_known_frame_asks_every_clip_for_the_same(clips: Path, tmp_path: Path) -> None:
    """A forecast that has half of the best frame's squared error in each clip has one loss, however large it is."""
    random = torch.Generator().manual_seed(0)
    truth = 0.5 + 0.1 * torch.randn(2, 3, 1, 16, 16, generator=random)
    error = 0.2 * torch.tensor([1.0, 0.2]).view(2, 1, 1, 1, 1) * torch.randn(truth.shape, generator=random)

    def over(clip: int, share: float) -> float:
        there, missed = truth[clip : clip + 1], error[clip : clip + 1]
        known = [(there + times * missed).flatten(0, 1) for times in (1.0, 2.0)]
        forecast, last = there + share * missed, there[:, :1]
        others = losses.CHARBONNIER_SHARE * losses.charbonnier(forecast, there, last)
        others += losses.DISSIMILARITY_SHARE * losses.dissimilarity(forecast, there, last)
        return float(objective.over_best(forecast, there, last, known) - others) / objective.SHARE

    for clip in (0, 1):
        assert over(clip, 1.0) == pytest.approx(0.0, abs=0.01)
        assert over(clip, 0.5**0.5) == pytest.approx(math.log(0.5), abs=0.02)
    options = chosen(clips, tmp_path, "--loss", objective.OVER_BEST, "--minutes", "0.02")
    training.pretrain(options)
    assert json.loads((tmp_path / "card.json").read_text())["training"]["loss"] == objective.OVER_BEST
    mixing = chosen(clips, tmp_path, "--loss", objective.OVER_BEST, "--head", "mix")
    with pytest.raises(SystemExit, match="has no known frames"):
        training._stepper(mixing, mixing.variants[0], torch.device("cpu"))


def test_the_momentum_of_the_kernels_is_that_which_is_asked_for(clips: Path, tmp_path: Path) -> None:
    options = chosen(clips, tmp_path, "--momentum", "0.98")
    stepper = training._stepper(options, options.variants[0], torch.device("cpu"))
    assert {group["kind"]: group["momentum"] for group in stepper.optimizer.param_groups}["muon"] == 0.98


def test_a_step_on_values_that_are_not_finite_leaves_finite_weights(clips: Path, tmp_path: Path) -> None:
    options = chosen(clips, tmp_path)
    stepper = training._stepper(options, options.variants[0], torch.device("cpu"))
    batch = torch.rand(1, 6, 1, 16, 16)
    batch[0, 0, 0, 0, 0] = torch.nan
    stepper.step(batch, 3, 1.0, 0)
    assert all(value.isfinite().all() for value in stepper.network.state_dict().values())


def test_the_rate_rises_stays_and_falls_to_zero() -> None:
    assert training.rate_at(0.0, 0, 0.3) == pytest.approx(1 / training.WARM_UP)
    assert training.rate_at(0.2, 10**6, 0.3) == 1.0
    assert training.rate_at(0.65, 10**6, 0.3) == pytest.approx(0.5)
    assert training.rate_at(1.0, 10**6, 0.3) == 0.0


def test_the_zero_shot_table_has_a_row_for_each_folder(tmp_path: Path) -> None:
    folder = tmp_path / "still"
    folder.mkdir()
    frame = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 1)).astype(np.uint8)
    np.save(folder / "a.npy", np.repeat(frame, 22, axis=0) + np.arange(22, dtype=np.uint8)[:, None, None, None])
    network = EncoderForecaster(ForecasterConfig(64, 64, 1, hidden=(2,)))
    scored = ZeroShot((folder,), 1)
    first, second = scored.table(network), scored.table(network)
    assert first == second  # the baselines are computed once, and are the same
    assert first[0].folder == "still"
    assert first[0].clips == 1
    assert first[0].mse > 0
    assert "| still | 1 |" in text(first)


def test_the_table_of_members_has_a_row_for_each_folder(tmp_path: Path) -> None:
    folder = tmp_path / "drifting"
    folder.mkdir()
    np.save(folder / "a.npy", np.random.default_rng(0).integers(0, 256, (20, 16, 16, 1)).astype(np.uint8))
    [row] = members_table(EncoderForecaster(ForecasterConfig(64, 64, 1, hidden=(2,), noise=True)), (folder,))
    assert (row.folder, row.clips, len(row.spread_skill)) == ("drifting", 1, 10)
    assert row.crps > 0
    assert 0 <= row.reliability_index <= 2
    assert "| drifting | 1 |" in members_text([row])


def test_members_are_pretrained(clips: Path, tmp_path: Path) -> None:
    options = chosen(clips, tmp_path / "out", "--members", "2", "--head", "steered")
    stepper = training._stepper(options, options.variants[0], torch.device("cpu"))
    weight = "forecaster.0.weight_ih"
    before = stepper.network.state_dict()[weight].clone()
    stepper.step(torch.rand(2, 6, 1, 16, 16), 3, 1.0, 0)
    assert stepper.mean_loss() > 0
    assert not torch.equal(stepper.network.state_dict()[weight][:, -NOISE_GRID:], before[:, -NOISE_GRID:])


def test_options_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.parse(["--make-clips", "3"])
    assert "--make-clips needs --clips" in capsys.readouterr().err


def test_an_empty_folder_of_clips_is_reported(tmp_path: Path) -> None:
    options: Any = chosen(tmp_path, tmp_path / "out")
    with pytest.raises(SystemExit, match="holds no clips of 16x16"):
        Rings(options, torch.device("cpu"), 0)
