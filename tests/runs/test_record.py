import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pytest
from helpers import data_record

from convlstm_cli.errors import RunError, UsageError
from convlstm_cli.runs.record import (
    MAX_BYTES,
    DataRecord,
    build,
    check,
    check_evaluation,
    damaged,
    parse,
    read_text,
)
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.config import DataConfig


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "NaN", "[Infinity]", "1e999", str(2**63), "9" * 10_000, '{"a": -Infinity}']
)
def test_what_this_tool_does_not_write_is_no_json(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse(text)


def test_numbers_come_back_as_they_were() -> None:
    content = {"a": [1, -(2**62), 0.1, 1e-300, 1e300], "b": None, "c": True}
    assert parse(json.dumps(content)) == content


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="needs FIFOs")
def test_only_files_of_a_sensible_size_are_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo.json")
    with pytest.raises(ValueError, match="no file"):
        read_text(tmp_path / "fifo.json")
    with (tmp_path / "sparse.json").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(ValueError, match="bytes"):
        read_text(tmp_path / "sparse.json")


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        ([1, 2], tuple[int, ...], (1, 2)),
        (None, int | None, None),
        ("a", Literal["a", "b"], "a"),
        ({"a": [None, 1]}, dict[str, list[float | None]], {"a": [None, 1.0]}),
    ],
)
def test_values_of_the_right_type(value: Any, hint: Any, expected: Any) -> None:
    found = check(value, hint, "it")
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "hint"),
    [
        (True, int),
        (1, bool),
        (1.0, int),
        ("1", int),
        (True, float),
        (None, int),
        ("c", Literal["a", "b"]),
        (["a"], tuple[int, ...]),
        ("ab", tuple[str, ...]),
        ([], dict[str, int]),
    ],
)
def test_values_of_another_type_are_named(value: Any, hint: Any) -> None:
    with pytest.raises(ValueError, match="it is "):
        check(value, hint, "it")


def test_dataclasses_come_back_from_json() -> None:
    config = TrainConfig(epochs=3, augment=("hflip",), max_time=5.0)
    assert build(TrainConfig, json.loads(json.dumps(asdict(config)))) == config
    with pytest.raises(ValueError, match="'more' is not known"):
        build(TrainConfig, {"more": 1})
    with pytest.raises(ValueError, match="'folders'"):
        build(DataConfig, {})
    with pytest.raises(UsageError, match="--epochs"):
        build(TrainConfig, {"epochs": 0})
    with pytest.raises(ValueError, match="no object"):
        build(TrainConfig, [])


def test_a_split_has_a_clip_in_each_part() -> None:
    record = data_record(32, 32)
    build(DataRecord, record).check_clips(20)
    with pytest.raises(ValueError, match="shorter than the 21 frames"):
        build(DataRecord, record).check_clips(21)
    record["split"]["test"] = []
    with pytest.raises(ValueError, match="is empty"):
        build(DataRecord, record).check_clips(5)
    for start, stop in ((-1, 5), (5, 5), (6, 5), (0, 21)):
        record["split"]["test"] = [{**record["split"]["train"][0], "start": start, "stop": stop}]
        with pytest.raises(ValueError, match="no part of 'a'"):
            build(DataRecord, record)


def test_scores_have_every_lead_time() -> None:
    def scores(mse: float, leads: int = 2) -> dict[str, Any]:
        values = {"mse": mse, "psnr": None, "ssim": 0.5}
        return {"clips": 1, "mean": values, "by_lead_time": {name: [value] * leads for name, value in values.items()}}

    good = {"skill": None, "model": scores(0.1), "persistence": scores(0.2)}
    check_evaluation(good)
    for bad in (scores(0.1, 3), scores(-0.1), {}, scores(0.1) | {"mean": {"mse": 0.1}}, scores(0.1, 0)):
        with pytest.raises(ValueError, match=r".+"):
            check_evaluation({**good, "persistence": bad})


def test_what_the_use_of_damaged_content_raises_names_the_file(tmp_path: Path) -> None:
    uses = (lambda: {}["a"], lambda: [][0], lambda: None + 1, lambda: "".x, lambda: 1 / 0, lambda: math.log(-1))  # type: ignore[operator, attr-defined, var-annotated]
    for use in uses:
        with (
            pytest.raises(RunError, match=r"a\.json: is damaged \(.*\); restore it\."),
            damaged(tmp_path / "a.json", "restore it"),
        ):
            use()
