import dataclasses
import json
import math
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import pytest

from convlstm_cli.errors import RunError
from convlstm_cli.runs.record import MAX_BYTES, as_object, build, damaged, parse, read, read_lines, read_text
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


@dataclasses.dataclass(frozen=True)
class Inner:
    number: int = 0


@dataclasses.dataclass(frozen=True)
class Outer:
    inner: Inner
    several: tuple[Inner, ...] = ()


@pytest.mark.parametrize(
    ("value", "hint", "expected"),
    [
        (3, int, 3),
        (3, float, 3.0),
        ([1, 2], tuple[int, ...], (1, 2)),
        (None, int | None, None),
        ("a", Literal["a", "b"], "a"),
        ("\udcff", str, "\udcff"),  # of a file name that is no UTF-8
        ({"a": [None, 1]}, dict[str, list[float | None]], {"a": [None, 1.0]}),
        ({"inner": {}, "several": [{"number": 2}]}, Outer, Outer(Inner(), (Inner(2),))),
    ],
)
def test_values_of_the_right_type(value: Any, hint: Any, expected: Any) -> None:
    found = build(hint, value)
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
        ([], Outer),
    ],
)
def test_values_of_another_type_are_refused(value: Any, hint: Any) -> None:
    with pytest.raises(ValueError, match=r"Expected|Invalid"):
        build(hint, value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"inner": {"number": "x"}}, r"Expected `int`, got `str` - at `\$\.inner\.number`"),
        ({"several": []}, "missing required field `inner`"),
        ({"inner": {}, "more": 1}, r"'more' is not known - at `\$`"),
        ({"inner": {}, "several": [{"x" * 99: 1}]}, r"'x{56}\.\.\. is not known - at `\$\.several\[\.\.\.\]`"),
    ],
)
def test_the_message_names_the_field(content: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(Outer, content)


def test_settings_come_back_from_json() -> None:
    config = TrainConfig(epochs=3, augment=("hflip",), max_time=5.0)
    assert build(TrainConfig, json.loads(json.dumps(asdict(config)))) == config
    with pytest.raises(ValueError, match="--epochs is 0"):
        build(TrainConfig, {"epochs": 0})
    with pytest.raises(ValueError, match="`folders`"):
        build(DataConfig, {})


def test_what_a_file_does_not_hold_is_one_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    with pytest.raises(FileNotFoundError):
        read(path, as_object)
    for content, message in (("[1", "Expecting"), ("[1]", "Expected `object`"), ("NaN", "it holds NaN")):
        path.write_text(content)
        with pytest.raises(RunError, match=rf"^{path}: cannot be read \({message}.*\); restore it from a copy\."):
            read(path, as_object)
    path.write_bytes(b"\xff")
    with pytest.raises(RunError, match=rf"^{path}: cannot be read \(.*\); train again\."):
        read(path, as_object, "train again")
    path.write_text('{"a": 1}\n{"b": 2}\n')
    assert read_lines(path, as_object) == [{"a": 1}, {"b": 2}]


def test_what_the_use_of_damaged_content_raises_names_the_file(tmp_path: Path) -> None:
    nothing: Any = {}
    uses = (
        lambda: nothing["a"],
        lambda: [0][1],
        lambda: nothing + 1,
        lambda: nothing.x,
        lambda: 1 / 0,
        lambda: math.log(-1),
    )
    for use in uses:
        with (
            pytest.raises(RunError, match=r"a\.json: is damaged \(.*\); restore it\."),
            damaged(tmp_path / "a.json", "restore it"),
        ):
            use()
