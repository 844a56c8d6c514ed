"""Run folders that anybody may have changed: each command ends with a result or with one message, and does no harm."""

import json
import os
import pickle
import shutil
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import small_videos
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from test_bad_input import BUDGET, CLIP, SMALL, call, needs_posix

pytestmark = needs_posix

EXAMPLES = int(os.environ.get("CONVLSTM_FUZZ", "30"))
"""CONVLSTM_FUZZ=5000 looks for more, and draws anew each time."""

HUGE = 10**9
ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, 2, 3, -1, HUGE, 10**7, 2**63, -(2**63), 0.5, -0.5, 1e300, float("nan"), float("inf")),
    *("", "x", "..", "../../escaped", "/", "\0", "\udcff", "\x1b[2J", "<script>", "cuda:99", "none", "full", "a/b"),
    *([], [HUGE], [1, 2], ["x"], [[]], [1] * 200, {}, {"x": 1}, {"": None}),
)
JUNK = (b"", b"\0", b"null", b"[]", b"{}", b"7", b"NaN", b"\xff\xfe", b"[" * 100_000, b'{"a":' * 50_000, b"1" * 9999)
COMMANDS = ("inspect", "explain", "predict", "evaluate", "resume", "compare")


@dataclass(frozen=True)
class Place:
    """What was made once; `run` and `comparison` are copied for each example."""

    folder: Path
    video: Path
    run: Path
    other: Path
    comparison: Path


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("fuzz")
    videos = small_videos(folder / "videos")
    made = Place(folder, videos / "0.npy", folder / "made", folder / "other", folder / "comparison")
    for run, seed in ((made.run, 0), (made.other, 1)):
        arguments = "train", videos, *SMALL, *CLIP, *BUDGET, "--peephole", "full", "--seed", seed, "-o", run
        assert call(folder, *arguments).exit_code == 0
    arms = "--arms", "none,channel", "--seeds", 1
    assert call(folder, "compare", videos, *SMALL, *CLIP, *BUDGET, *arms, "-o", made.comparison).exit_code == 0
    return made


Change = Callable[[Path, st.DataObject], str]


def _flip(path: Path, data: st.DataObject) -> str:
    content = bytearray(path.read_bytes())
    # Headers are short, and more happens there.
    longest = data.draw(st.sampled_from((16, 256, len(content))), "longest")
    places = data.draw(st.lists(st.integers(0, min(longest, len(content)) - 1), min_size=1, max_size=6), "places")
    for place in places:
        content[place] ^= data.draw(st.integers(1, 255), "bits")
    path.write_bytes(content)
    return "flipped"


def _cut(path: Path, data: st.DataObject) -> str:
    content = path.read_bytes()
    path.write_bytes(content[: data.draw(st.integers(0, len(content) - 1), "length")])
    return "cut"


def _junk(path: Path, data: st.DataObject) -> str:
    path.write_bytes(data.draw(st.sampled_from(JUNK), "junk"))
    return "junk"


def _remove(path: Path, _data: st.DataObject) -> str:
    path.unlink()
    return "removed"


def _special(path: Path, data: st.DataObject) -> str:
    path.unlink()
    kind = data.draw(st.sampled_from(("fifo", "folder", "loop", "zero")), "kind")
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        path.symlink_to(path if kind == "loop" else "/dev/zero")
    return kind


def _change_values(path: Path, data: st.DataObject) -> str:
    text = path.read_text()
    if path.suffix == ".jsonl":
        rows = [json.loads(line) for line in text.splitlines()]
        told = _change_in(rows, data, ODD_VALUES)
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        content = json.loads(text)
        told = _change_in(content, data, ODD_VALUES)
        path.write_text(json.dumps(content))
    return told


def _change_in(content: Any, data: st.DataObject, values: tuple[Any, ...]) -> str:
    """Walks down to some place, and changes, removes or adds what is there."""
    way = []
    while True:
        keys = list(content) if isinstance(content, dict) else list(range(len(content)))
        key = data.draw(st.sampled_from(keys), "key")
        way.append(key)
        if not isinstance(content[key], dict | list) or not content[key] or data.draw(st.integers(0, 5), "stop") == 0:
            break
        content = content[key]
    how = data.draw(st.sampled_from(("replace", "replace", "replace", "remove", "add", "swap")), "how")
    if how == "replace":
        content[key] = data.draw(st.sampled_from(values), "value")
    elif how == "swap":
        other = data.draw(st.sampled_from(keys), "other")
        content[key], content[other] = content[other], content[key]
    elif how == "remove":
        del content[key]
    elif isinstance(content, dict):
        content["added"] = data.draw(st.sampled_from(values), "value")
    else:
        content.append(data.draw(st.sampled_from(values), "value"))
    return f"{how} {way}"


ODD_TENSORS = (
    torch.zeros(()),
    torch.zeros(0),
    torch.zeros(1).expand(10**9),
    torch.full((4, 4), float("nan")),
    torch.zeros(3, dtype=torch.complex64),
    torch.zeros(3, dtype=torch.bool),
    torch.eye(3).to_sparse(),
)


def _change_tensor(tensor: torch.Tensor, data: st.DataObject) -> torch.Tensor:
    """One of the same kind with other values, or of another."""
    return {
        "nan": lambda: torch.full_like(tensor, float("nan")) if tensor.is_floating_point() else tensor - 99,
        "infinite": lambda: torch.full_like(tensor, float("inf")) if tensor.is_floating_point() else tensor * -1,
        "huge": lambda: torch.full_like(tensor, 3e38) if tensor.is_floating_point() else tensor + HUGE,
        "negative": lambda: -torch.ones_like(tensor),
        "double": lambda: tensor.double(),
        "half": lambda: tensor.half(),
        "whole": lambda: tensor.long(),
        "flat": lambda: tensor.flatten()[:-1].clone(),
        "wide": lambda: torch.cat((tensor[None], tensor[None])),
    }[data.draw(st.sampled_from(("nan", "infinite", "huge", "negative", "double", "half", "whole", "flat", "wide")))]()


def _change_weights(path: Path, data: st.DataObject) -> str:
    weights = load_file(path)
    name = data.draw(st.sampled_from(sorted(weights)), "name")
    how = data.draw(st.sampled_from(("change", "change", "remove", "add", "swap")), "how")
    if how == "change":
        weights[name] = _change_tensor(weights[name], data)
    elif how == "add":
        weights["added"] = torch.zeros(2)
    else:
        taken = weights.pop(name)
        if how == "swap":
            weights[f"{name}.x"] = taken
    save_file(weights, path)
    return f"{how} {name}"


def _change_checkpoint(path: Path, data: st.DataObject) -> str:
    saved = torch.load(path, weights_only=True)
    tensors = list(_tensors(saved))
    if data.draw(st.booleans(), "a tensor"):
        content, key = tensors[data.draw(st.integers(0, len(tensors) - 1), "which")]
        content[key] = _change_tensor(content[key], data)
        told = f"tensor {key}"
    else:
        told = _change_in(saved, data, (*ODD_VALUES, *ODD_TENSORS))
    torch.save(saved, path)
    return told


def _tensors(content: Any) -> Iterator[tuple[Any, Any]]:
    for key, value in content.items() if isinstance(content, dict) else enumerate(content):
        if isinstance(value, torch.Tensor):
            yield content, key
        elif isinstance(value, dict | list):
            yield from _tensors(value)


FILES: dict[str, tuple[Change, ...]] = {
    "config.json": (_change_values,) * 8,
    "metrics.jsonl": (_change_values,) * 4,
    "test.json": (_change_values,) * 4,
    "model.safetensors": (_change_weights,) * 4,
    "resume.pt": (_change_checkpoint,) * 8,
}
ANY = (_flip, _flip, _cut, _junk, _remove, _special)


FUZZ = settings(
    derandomize="CONVLSTM_FUZZ" not in os.environ,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.usefixtures("without_charts")  # evaluations draw nothing that a run could change
@settings(FUZZ, max_examples=EXAMPLES)
@given(st.data())
def test_a_changed_run_does_no_harm(place: Place, data: st.DataObject) -> None:
    with Sandbox(place, place.run) as (folder, run):
        name = data.draw(st.sampled_from(sorted(FILES)), "file")
        change = data.draw(st.sampled_from((*FILES[name], *ANY)), "change")
        note(f"{name}: {change(run / name, data)}")
        command = data.draw(st.sampled_from(COMMANDS), "command")
        check(place, folder, run, command)


@settings(FUZZ, max_examples=EXAMPLES // 3)
@given(st.data())
def test_a_changed_comparison_does_no_harm(place: Place, data: st.DataObject) -> None:
    with Sandbox(place, place.comparison) as (folder, comparison):
        name = data.draw(st.sampled_from(("comparison.json", "comparison.json", "summary.json")), "file")
        change = data.draw(st.sampled_from((*(_change_values,) * 8, *ANY)), "change")
        note(f"{name}: {change(comparison / name, data)}")
        command = data.draw(st.sampled_from(("inspect", "evaluate", "go on", "go on")), "command")
        if command == "go on":  # trains what is not trained yet, where the summary was lost or other arms are named
            result = call(folder / "below", "compare", "-o", comparison, "--resume", "--jobs", 1)
            assert result.exit_code in (0, 1, 2), result.output
        else:
            check(place, folder, comparison, command)


@pytest.mark.parametrize(
    "changes",
    [
        {"hidden": [HUGE]},
        {"hidden": [2] * HUGE.bit_length() * 9},
        {"hidden": [2**14]},
        {"kernel_size": HUGE + 1},
        {"height": 10**7},
        {"height": 4096, "width": 4096},
        {"horizon": HUGE},
        {"input_frames": HUGE},
        {"patch_size": HUGE},
        {"forget_bias": 1e300},
    ],
)
@pytest.mark.parametrize("command", COMMANDS)
def test_an_enlarged_network_is_refused_before_it_is_made(place: Place, command: str, changes: dict[str, Any]) -> None:
    with Sandbox(place, place.run) as (folder, run):
        config = json.loads((run / "config.json").read_text())
        config["model"] |= changes
        (run / "config.json").write_text(json.dumps(config))
        code = check(place, folder, run, command)
        assert code == 1 or (command in ("explain", "inspect") and changes == {"hidden": [2**14]})


class Planted:
    """Makes a folder when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Callable[[str], None], tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("command", COMMANDS)
def test_a_planted_pickle_does_not_run(place: Place, command: str) -> None:
    with Sandbox(place, place.run) as (folder, run):
        trap = place.folder / "trapped"
        for name in ("resume.pt", "model.safetensors"):
            for save in (torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))):
                saved = torch.load(place.run / "resume.pt", weights_only=True)
                saved["state"]["history"].append(Planted(trap))
                save(saved, run / name)
                check(place, folder, run, command)
                assert not trap.exists()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 3e38, -1e11])
@pytest.mark.parametrize("command", ["predict", "evaluate", "compare"])
def test_weights_that_would_overflow_are_refused(place: Place, command: str, value: float) -> None:
    with Sandbox(place, place.run) as (folder, run):
        weights = {name: torch.full_like(each, value) for name, each in load_file(run / "model.safetensors").items()}
        save_file(weights, run / "model.safetensors")
        code = check(place, folder, run, command)
        assert code == int(value != -1e11)


def test_a_compressed_checkpoint_is_refused(place: Place) -> None:
    """A few kilobytes could unpack to any size."""
    with Sandbox(place, place.run) as (folder, run):
        with zipfile.ZipFile(place.run / "resume.pt") as plain:
            entries = {name: plain.read(name) for name in plain.namelist()}
        with zipfile.ZipFile(run / "resume.pt", "w", zipfile.ZIP_DEFLATED) as packed:
            for name, content in entries.items():
                packed.writestr(name, content)
        assert check(place, folder, run, "resume") == 1


class Sandbox:
    """Gives a folder with a copy of a run; nothing above or beside the copy and `out` may change."""

    def __init__(self, place: Place, made: Path) -> None:
        self._place, self._made = place, made

    def __enter__(self) -> tuple[Path, Path]:
        self._folder = self._place.folder / "sandbox"
        shutil.rmtree(self._folder, ignore_errors=True)
        (self._folder / "below").mkdir(parents=True)
        self._copy = self._folder / "below" / "run"
        shutil.copytree(self._made, self._copy)
        self._before = self._files()
        return self._folder, self._copy

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            assert self._files() == self._before

    def _files(self) -> dict[Path, int]:
        spared = self._copy, self._folder / "below" / "out"
        return {
            path: path.lstat().st_mtime_ns
            for path in self._place.folder.rglob("*")
            if not any(path.is_relative_to(each) for each in spared) and not path.is_dir()
        }


def check(place: Place, folder: Path, run: Path, command: str) -> int:
    """One command on a changed run; its exit code."""
    output = folder / "below" / "out"
    arguments: dict[str, tuple[object, ...]] = {
        "inspect": ("inspect", run),
        "explain": ("explain", "-m", run),
        "predict": ("predict", place.video, "-m", run, "-o", output, "--format", "npy"),
        "evaluate": ("evaluate", run, "-o", output),
        "resume": ("train", "-o", run, "--resume", "--max-steps", 2),
        "compare": ("compare", run, place.other, "-o", output),
    }
    shutil.rmtree(output, ignore_errors=True)
    result = call(folder / "below", *arguments[command])
    assert result.exit_code in (0, 1, 2), result.output
    assert bool(result.exit_code) == ("error: " in result.stderr), result.stderr
    if result.exit_code and command != "predict":
        assert not result.stdout
    return result.exit_code
