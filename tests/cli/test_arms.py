"""What `convlstm compare` compares: recorded runs as they are, their settings trained anew, or values of one option."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import QUICK, called, refused

pytestmark = pytest.mark.usefixtures("without_charts")


def test_recorded_runs_are_compared_or_trained_anew(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    for name, rate in (("slow", "1e-4"), ("fast", "1e-2")):
        arguments = "train", folder, *QUICK, "-o", f"runs/{name}", "--max-steps", 2, "--learning-rate", rate
        called(*arguments, cwd=tmp_path)
    found = json.loads(called("compare", "runs/slow", "runs/fast", "--json", cwd=tmp_path).stdout)
    assert found["kind"] == "recorded"
    assert [arm["differs"] for arm in found["arms"]] == [{"learning_rate": 1e-4}, {"learning_rate": 1e-2}]
    assert found["folder"] == "runs/compare-slow-1"
    assert "--epochs" in refused("compare", "runs/slow", "runs/fast", "--epochs", 3, cwd=tmp_path)
    assert str(folder) in refused("compare", "runs/slow", folder, cwd=tmp_path)

    anew = "compare", folder, "--arms", "runs/slow,runs/fast"
    found = json.loads(called(*anew, "--max-steps", 3, "--seeds", 1, "--json", cwd=tmp_path).stdout)
    assert [(arm["name"], arm["steps"]) for arm in found["arms"]] == [("slow", 3), ("fast", 3)]
    assert "--hidden" in refused(*anew, "--hidden", 8, cwd=tmp_path)
    assert "channel is no run" in refused("compare", folder, "--arms", "runs/slow,channel", cwd=tmp_path)


def test_any_option_is_varied_and_the_comparison_goes_on(make_folder: Callable[..., Path], tmp_path: Path) -> None:
    folder = make_folder()
    quick = "compare", folder, *QUICK, "--hidden", "2,2", "--max-steps", 2, "--seeds", 1, "-o", "runs/c", "--json"
    found = json.loads(called(*quick, "--vary", "dropout=0,0.5", "--peephole", "none", cwd=tmp_path).stdout)
    assert [(arm["name"], arm["differs"]) for arm in found["arms"]] == [
        ("dropout=0", {"dropout": 0.0}),
        ("dropout=0.5", {"dropout": 0.5}),
    ]
    assert {arm["peephole"] for arm in found["arms"]} == {"none"}
    assert found["reference"] == "dropout=0"
    assert "the training with --dropout 0.5" in found["verdict"][0]
    assert found["settings"]["compare"]["vary"] == "dropout=0,0.5"
    assert (tmp_path / "runs/c/seed-0/dropout=0.5/model.safetensors").is_file()
    assert "dropout=0.5" in (tmp_path / "runs/c/report.html").read_text(encoding="utf-8")
    called(*quick, "--resume", "--vary", "dropout=0,0.5", cwd=tmp_path)
    assert "--dropout and --vary dropout=0,0.5 both say" in refused(*quick, "--resume", "--dropout", 0.1, cwd=tmp_path)
    other = refused(*quick, "--resume", "--vary", "dropout=0,0.25", cwd=tmp_path)
    assert "--vary is dropout=0,0.25 and this run was begun with dropout=0,0.5" in other


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--vary", "dropout=0,0.1", "--dropout", 0.2), "--dropout and --vary dropout=0,0.1 both say"),
        (("--vary", "dropout=0,0.1", "--arms", "none,full"), "--arms and --vary both say"),
        (("--peephole", "full"), "--peephole differs from arm to arm: --arms none,channel,full are the kinds"),
        (("--vary", "dilation=1,0"), "--dilation is 0"),
    ],
)
def test_what_does_not_go_with_vary_is_refused(options: tuple[object, ...], message: str, tmp_path: Path) -> None:
    assert message in refused("compare", tmp_path, *options, cwd=tmp_path)
