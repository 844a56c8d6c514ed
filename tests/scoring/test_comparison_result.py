import json
from pathlib import Path
from typing import Any

import pytest
from made_up import made_up_summary

from convlstm_cli.errors import RunError
from convlstm_cli.scoring.comparison_result import ComparisonSummary, read_summary


def written(folder: Path, content: Any) -> Path:
    (folder / "summary.json").write_text(json.dumps(content), encoding="utf-8")
    return folder


def test_a_summary_comes_back_from_disk_as_it_was(tmp_path: Path) -> None:
    summary = made_up_summary()
    assert read_summary(written(tmp_path, summary.to_dict())) == summary


def test_without_a_file_there_is_no_summary(tmp_path: Path) -> None:
    assert read_summary(tmp_path) is None


def test_json_has_lists_and_leaves_out_what_only_the_verdict_needs() -> None:
    content = made_up_summary().to_dict()
    assert json.loads(json.dumps(content)) == content
    assert list(content)[:4] == ["folder", "kind", "match", "settings"]
    difference = content["differences"]["full"]
    assert "detectable" not in difference
    assert isinstance(difference["interval"], list)


@pytest.mark.parametrize(
    ("path", "value", "words"),
    [
        (("seeds",), "three", "seeds"),
        (("arms", 0, "runs", 1, "mse"), None, r"arms\[.*runs\[.*mse"),
        (("arms", 0, "runs", 1, "history", 0, "steps"), 1.5, "steps"),
        (("differences", "full", "outcome"), "superb", "superb"),
        (("differences", "full", "relative_interval"), [0.1], "relative_interval"),
        (("anatomy", "knock_out"), {}, "knock_out"),
        (("baselines", "persistence", "mean", "mse"), "0.1", "mean"),
        (("kind",), "other", "other"),
    ],
)
def test_a_value_of_another_type_is_one_message_that_names_it(
    tmp_path: Path, path: tuple[str | int, ...], value: object, words: str
) -> None:
    content: Any = made_up_summary().to_dict()
    place = content
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(RunError, match=rf"summary\.json: is damaged .*{words}.*--resume writes it anew"):
        read_summary(written(tmp_path, content))


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "NaN", "null"])
def test_what_is_no_summary_is_one_message(tmp_path: Path, text: str) -> None:
    (tmp_path / "summary.json").write_text(text)
    with pytest.raises(RunError, match=r"summary\.json: (is damaged|cannot be read)"):
        read_summary(tmp_path)


def test_an_arms_time_is_that_of_all_its_runs() -> None:
    summary: ComparisonSummary = made_up_summary(seeds=3)
    assert summary.arms[0].seconds == pytest.approx(3 * 61.2)
    summary.arms[0].runs[1] = type(summary.arms[0].runs[1])(**{**vars(summary.arms[0].runs[1]), "seconds": None})
    assert summary.arms[0].seconds is None
