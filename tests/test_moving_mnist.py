"""The Moving MNIST benchmark: the authors' rules, plans, interruption and resumption, and the printed report."""

import gzip
import json
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from convlstm_cli.compute import memory
from convlstm_cli.errors import ConvLSTMError, Interrupted
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.training.config import TrainConfig

sys.path.append(str(Path(__file__).parent.parent / "scripts"))

import benchmark_moving_mnist as benchmark
from moving_mnist import digits, sequences, settings, testing, training
from moving_mnist.command_line import options_of
from moving_mnist.systems import PlainForecaster

SMALL = ["--hidden", "2", "--patch-size", "16", "--batch-size", "2", "--validation-sequences", "3", "--curve", "2"]


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the work between two checks of `should_stop` short."""
    monkeypatch.setattr(training, "CHUNK", 2)
    monkeypatch.setattr(testing, "CHUNK", 2)
    monkeypatch.setattr(training, "ROUNDS", 1)
    monkeypatch.setattr(testing, "RESAMPLES", 20)


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """A folder of made-up digits, one file of them compressed."""
    folder = tmp_path / "digits"
    folder.mkdir()
    random = np.random.default_rng(0)
    (folder / digits.TRAIN).write_bytes(idx(random.integers(256, size=(61, 28, 28), dtype=np.uint8)))
    (folder / f"{digits.TEST}.gz").write_bytes(
        gzip.compress(idx(random.integers(256, size=(7, 28, 28), dtype=np.uint8)))
    )
    return folder


@pytest.fixture
def call(mnist: Path, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """Runs the benchmark on made-up digits; `should_stop` returns True after `stop_after` calls."""

    def run(*options: str, output: str = "out", stop_after: float = math.inf) -> dict[str, Any]:
        asked = 0

        def should_stop() -> bool:
            nonlocal asked
            asked += 1
            return asked > stop_after

        words = ["--mnist", str(mnist), "-o", str(tmp_path / output), *SMALL, "--test-sequences", "5", *options]
        return benchmark.run(options_of(None).parse_args(words), should_stop, lambda _: None)

    return run


def idx(images: np.ndarray) -> bytes:
    return np.array([2051, *images.shape], ">i4").tobytes() + images.tobytes()


def test_a_digit_moves_by_the_rules() -> None:
    """One digit moves right from 0.95 of the box, one up from 0.13; both meet a wall and turn back."""
    start, angle = np.array([[0.5, 0.95], [0.13, 0.5]]), np.array([0.0, -np.pi / 2])
    right, up = sequences.corners(start, angle, 4, 36).tolist()
    assert right == [[18, 36], [18, 32], [18, 28], [18, 25]]  # 1.0, 0.9, 0.8, 0.7 of 36, cut
    assert up == [[1, 18], [0, 18], [3, 18], [7, 18]]  # 0.03, 0, 0.1, 0.2 of 36; x as cos(-90°) leaves it


def test_digits_are_drawn_where_they_are_and_the_brighter_pixel_counts() -> None:
    pair = np.array([[[[1, 2], [3, 4]], [[5, 1], [1, 1]]]], np.uint8)  # one sequence, two digits of 2x2
    at = np.array([[[[0, 0], [2, 1]], [[0, 1], [0, 2]]]])  # at two frames
    first, second = sequences.draw(pair, at, canvas=4)[0].tolist()
    assert first == [[1, 5, 1, 0], [3, 4, 1, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
    assert second == [[0, 0, 5, 1], [0, 0, 1, 1], [0, 1, 2, 0], [0, 3, 4, 0]]


def test_many_sequences_are_what_a_loop_over_one_digit_after_the_other_gives() -> None:
    random = np.random.default_rng(1)
    some = random.integers(256, size=(5, 28, 28), dtype=np.uint8)
    drawn = sequences.sequences(some, 6, 20, (3, 1, 4))
    assert drawn.shape == (6, 20, 1, 64, 64)
    random = np.random.default_rng((3, 1, 4))
    chosen = random.integers(5, size=(6, 2))
    start, angle = random.random((6, 2, 2)), random.random((6, 2)) * 2 * math.pi
    for n in range(6):
        expected = np.zeros((20, 64, 64), np.uint8)
        for k in range(2):
            (y, x), (v_y, v_x) = start[n, k], (math.sin(angle[n, k]), math.cos(angle[n, k]))
            for t in range(20):
                y, x = y + v_y * 0.1, x + v_x * 0.1
                if not 0 < y < 1:
                    y, v_y = float(y >= 1), -v_y
                if not 0 < x < 1:
                    x, v_x = float(x >= 1), -v_x
                place = expected[t, int(y * 36) : int(y * 36) + 28, int(x * 36) : int(x * 36) + 28]
                np.maximum(place, some[chosen[n, k]], out=place)
        np.testing.assert_array_equal(drawn[n, :, 0], expected)


def test_the_original_sequence_comes_out_frame_by_frame() -> None:
    """Start and direction were found by search; whole pixels determine them up to a small range."""
    folder = os.environ.get("CONVLSTM_MNIST")
    if folder is None:
        pytest.skip("CONVLSTM_MNIST names no folder with MNIST and moving_mnist_original_one_sequence_rebuilt.npy")
    original = np.load(Path(folder) / "moving_mnist_original_one_sequence_rebuilt.npy")
    start = np.array([[[0.05771071, 0.59565861], [0.73019395, 0.34181196]]])
    at = sequences.corners(start, np.array([[2.74157067, 5.7219774]]), 20, 36)
    pair = digits.read(Path(folder)).test[[9913, 4660]]
    np.testing.assert_array_equal(sequences.draw(pair[None], at)[0], original)


def test_no_digit_is_in_two_parts(mnist: Path) -> None:
    found = digits.read(mnist)
    assert [len(part) for part in (found.train, found.validation, found.test)] == [59, 2, 7]
    every = [digit.tobytes() for part in (found.train, found.validation, found.test) for digit in part]
    assert len(set(every)) == 68


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.unlink(), "holds neither"),
        (lambda path: path.write_bytes(b"\0" * 9), "cut off"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "no whole IDX file"),
        (lambda path: path.rename(path.with_suffix(".gz")), "cannot be read"),
    ],
)
def test_a_missing_or_damaged_file_is_named(mnist: Path, damage: Callable[[Path], Any], said: str) -> None:
    damage(mnist / digits.TRAIN)
    with pytest.raises(ConvLSTMError, match=said) as raised:
        digits.read(mnist)
    assert digits.TRAIN in str(raised.value)


def test_defaults_are_those_of_training() -> None:
    chosen = settings.of_options(options_of(None).parse_args([]))
    assert chosen.train == TrainConfig()
    assert chosen.model == ForecasterConfig(64, 64, 1)


def test_any_field_can_be_given() -> None:
    words = "--model-option peephole=none --model-option recurrent_kernel_size=5 --hidden 3,4"
    words += " --train-option learning_rate=1e-3 --train-option checkpoint_every=none --train-option save_every=2m"
    chosen = settings.of_options(options_of(None).parse_args([*words.split(), "--epochs", "3", "--batch-size", "16"]))
    assert chosen.model == ForecasterConfig(64, 64, 1, hidden=(3, 4), peephole="none", recurrent_kernel_size=5)
    assert chosen.train == TrainConfig(batch_size=16, learning_rate=1e-3, save_every=120.0)
    assert (chosen.steps, chosen.minutes) == (1875, None)


def test_a_preset_stands_behind_what_is_given() -> None:
    words = "--preset paper --kernel-size 3 --train-option warmup=0.1"
    chosen = settings.of_options(options_of(None).parse_args(words.split()))
    assert (chosen.model.hidden, chosen.model.head, chosen.model.kernel_size) == ((128, 64, 64), "sigmoid", 3)
    assert (chosen.train.optimizer, chosen.train.warmup) == ("rmsprop", 0.1)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("--systems theirs", "--systems"),
        ("--model-option head=residual --train-option loss=bce", "--head residual"),
        ("--model-option depth=3", "--model-option names 'depth'"),
        ("--model-option horizon=3", "--model-option names 'horizon'"),
        ("--train-option learning_rate", "NAME=VALUE"),
        ("--train-option learning_rate=fast", "--train-option learning_rate is 'fast'"),
        ("--train-option loss=least", "--loss"),
        ("--seed 1 --train-option seed=2", "given twice"),
        ("--minutes 0", "--minutes"),
        ("--steps 0", "--steps"),
        ("--test-sequences 0", "--test-sequences"),
        ("--curve -1", "--curve"),
    ],
)
def test_options_that_make_no_sense_are_named(words: str, said: str) -> None:
    with pytest.raises(ConvLSTMError, match=said):
        settings.of_options(options_of(None).parse_args(words.split()))


def test_the_plain_network_is_ours_without_peepholes() -> None:
    config = ForecasterConfig(
        64, 64, 1, hidden=(3, 2), patch_size=16, peephole="none", forecaster="unconditioned", head="sigmoid", horizon=3
    )
    plain, ours = PlainForecaster(config, "sigmoid"), EncoderForecaster(config).eval()
    for role in ("encoder", "forecaster"):
        for cell, layer in zip(getattr(plain, role), getattr(ours, role), strict=True):
            i, f, o, g = cell.conv.weight.detach().chunk(4)
            weight = torch.cat((i, f, g, o))
            inputs = weight.shape[1] - cell.hidden
            i, f, o, g = cell.conv.bias.detach().chunk(4)
            named = {"weight_hh": weight[:, inputs:], "bias": torch.cat((i, f, g, o))}
            layer.load_state_dict(named | ({"weight_ih": weight[:, :inputs]} if inputs else {}), strict=False)
    ours.head.conv.load_state_dict(plain.head.state_dict())
    frames = torch.rand(2, 4, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(plain(frames), ours(frames))


def test_minutes_become_the_steps_that_fit_each_system(
    call: Callable[..., dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    timed = {"ours": [0.1, 0.3, 9.0], "plain": [0.2, 0.15, 0.1]}
    monkeypatch.setattr(training, "time_steps", lambda *_: timed)
    results = call("--minutes", "0.01", "--test-sequences", "1")
    assert results["steps"] == {"ours": 2, "plain": 4}
    assert [results["systems"][name]["steps"] for name in ("ours", "plain")] == [2, 4]


def test_many_short_calls_give_what_one_gives(call: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    whole = call("--steps", "3", output="whole")
    stops = 0
    with pytest.raises(Interrupted, match="timed"):
        call("--steps", "3", stop_after=0)
    # Each call may check twice before it stops, so that it makes progress: a step, a validation, some tests.
    while stops < 100:
        try:
            pieces = call("--steps", "3", stop_after=2 if (tmp_path / "out/plan.json").exists() else 4)
            break
        except Interrupted:
            stops += 1
    assert stops >= 6
    for name in ("ours", "plain"):
        one, many = (
            torch.load(tmp_path / output / f"{name}.pt", weights_only=True)["system"] for output in ("whole", "out")
        )
        assert_same(one, many)
        assert [row["steps"] for row in pieces["systems"][name]["curve"]] == [2, 3]
    for results in (whole, pieces):
        for row in results["systems"].values():
            row.pop("minutes", None)
            for point in row.get("curve", ()):
                del point["seconds"]
    assert pieces["systems"] == whole["systems"]
    assert pieces["ratio"] == whole["ratio"]


def assert_same(one: Any, other: Any) -> None:
    """Asserts equality bit for bit in nested content."""
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list):
        for a, b in zip(one, other, strict=True):
            assert_same(a, b)
    else:
        assert torch.equal(one, other) if isinstance(one, Tensor) else one == other


def test_other_options_do_not_go_on(call: Callable[..., dict[str, Any]], mnist: Path) -> None:
    call("--steps", "1", "--test-sequences", "1")
    call("--steps", "1", "--test-sequences", "2", "--train-option", "save_every=1s")  # does not change the weights
    with pytest.raises(ConvLSTMError, match=r"--train-option seed is 5, .*out was started with 0"):
        call("--steps", "1", "--seed", "5")
    with pytest.raises(ConvLSTMError, match="--steps is 2"):
        call("--steps", "2")
    (mnist / digits.TRAIN).write_bytes(idx(np.zeros((61, 28, 28), np.uint8)))
    with pytest.raises(ConvLSTMError, match="digest of --mnist"):
        call("--steps", "1")


def test_scores_are_sums_over_a_frame_and_ratios_are_paired() -> None:
    truth = torch.zeros(2, 3, 1, 64, 64)
    truth[1] = 1.0
    forecast = torch.full_like(truth, 0.5)
    forecast[1, :, :, :, :16] = 1.0  # right in a quarter of the second sequence
    rows = testing._rows(forecast, truth)
    scores = testing.summary(rows)
    assert scores["mse"] == pytest.approx(4096 * 0.25 * (1 + 0.75) / 2)
    assert scores["mae"] == pytest.approx(4096 * 0.5 * (1 + 0.75) / 2)
    certain = -math.log(1 - testing.NEAREST)
    expected = 3 * 4096 * (math.log(2) * 1.75 + certain * 0.25) / 2
    assert scores["cross_entropy"] == pytest.approx(expected, rel=1e-5)
    half = rows | {"mse": rows["mse"] / 2}
    assert testing.ratio(half, rows) == pytest.approx({"ratio": 0.5, "low": 0.5, "high": 0.5})


def test_the_command_says_what_came_out(
    mnist: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(memory, "keep_freed_memory", lambda: True)  # not for the process of all tests
    output, file = tmp_path / "out", tmp_path / "results.json"
    words = [*SMALL, "--steps", "2", "--test-sequences", "4", "--mnist", str(mnist), "-o", str(output)]
    monkeypatch.setattr(sys, "argv", ["benchmark", *words, "--json", str(file)])
    assert benchmark.main() == 0
    printed = capsys.readouterr().out
    results = json.loads(file.read_text())
    for name in ("ours", "plain", testing.COPY):
        assert f"{results['systems'][name]['mse']:.2f}" in printed
    assert "29.80" in printed
    assert "MSE of ours / plain: " in printed
    assert results["test_sequences"] == 4
    rows = [json.loads(line) for line in (output / "ours-curve.jsonl").read_text().splitlines()]
    assert rows == results["systems"]["ours"]["curve"]
    assert (output / "test.png").read_bytes().startswith(b"\x89PNG")

    monkeypatch.setattr(sys, "argv", ["benchmark", *words, "--max-time", "soon"])
    assert benchmark.main() == 2
    assert "--max-time is 'soon'" in capsys.readouterr().err
    monkeypatch.setattr(sys, "argv", ["benchmark", *words, "-o", str(tmp_path / "new"), "--max-time", "0.000001s"])
    assert benchmark.main() == 130
