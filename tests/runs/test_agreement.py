from pathlib import Path

import pytest
from helpers import data_record

from convlstm_cli.runs.agreement import TRAITS, first_difference
from convlstm_cli.runs.run import Run


def run(name: str, **changes: object) -> Run:
    model: dict[str, object] = {"height": 32, "width": 64, "channels": 1, "input_frames": 4, "horizon": 3}
    data = data_record(32, 64)
    data["settings"] |= {"colour": "auto", "stride": 1}
    for key, value in changes.items():
        (model if key in model else data["settings"])[key] = value
        if key in ("height", "width"):
            data["settings"][key] = value
    return Run(Path("runs") / name, {"model": model, "data": data})


@pytest.mark.parametrize(
    ("trait", "change", "words"),
    [
        ("--size", {"height": 16}, "has --size 32x64 and runs/c has --size 16x64"),
        ("--fit", {"fit": "crop"}, "has --fit pad and runs/c has --fit crop"),
        ("--colour", {"colour": "rgb"}, "has --colour auto and runs/c has --colour rgb"),
        ("--stride", {"stride": 2}, "has --stride 1 and runs/c has --stride 2"),
        ("--every", {"every": "0.1s"}, "has --every auto and runs/c has --every 0.1s"),
        ("--input-frames", {"input_frames": 5}, "has --input-frames 4 and runs/c has --input-frames 5"),
        ("--frames", {"horizon": 9}, "has --frames 3 and runs/c has --frames 9"),
        ("frames in", {"channels": 3}, "has frames in grey and runs/c has frames in colour"),
    ],
)
def test_a_difference_is_said_with_both_runs(trait: str, change: dict[str, object], words: str) -> None:
    runs = [run("a"), run("b"), run("c", **change)]
    assert first_difference(runs, TRAITS) == f"runs/a {words}"
    assert first_difference(runs, [trait]) == f"runs/a {words}"
    assert first_difference(runs, TRAITS.keys() - {trait}) is None


def test_runs_that_are_alike_do_not_differ() -> None:
    assert first_difference([run("a")], TRAITS) is None
    assert first_difference([run("a"), run("b")], TRAITS) is None
