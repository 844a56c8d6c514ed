"""What `convlstm compare` compares: recorded runs as they are, or their settings trained anew."""

import json
from collections.abc import Callable
from pathlib import Path

from calls import QUICK, called, refused


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
