import json
from pathlib import Path

import pytest
import torch
from calls import called
from fake_graphs import on_the_cpu
from prediction import make_run

from convlstm_cli import __version__
from convlstm_cli.cli.facts import gather, of_run
from convlstm_cli.compute import device
from convlstm_cli.compute.device import choose
from convlstm_cli.compute.versions import versions
from convlstm_cli.video.values import ValueRange
from convlstm_cli.weights.pretrained import Pretrained


def test_info_has_what_a_bug_report_needs() -> None:
    facts = gather()
    assert facts.versions["convlstm"] == __version__
    assert "torch" in facts.processor
    assert facts.compiled_kernels.startswith("gates: ")


def test_info_shows_whether_steps_are_captured(monkeypatch: pytest.MonkeyPatch) -> None:
    assert gather().cuda_graphs == f"no (none for {choose().device.type} devices)" or torch.cuda.is_available()
    on_the_cpu(monkeypatch)
    monkeypatch.setattr(device, "accelerators", list)
    assert gather().cuda_graphs == "yes"
    monkeypatch.setenv("CONVLSTM_GRAPHS", "off")
    assert gather().cuda_graphs == "no (switched off by CONVLSTM_GRAPHS)"


def test_json_has_the_versions_beside_the_other_facts() -> None:
    facts = gather().to_dict()
    assert facts["convlstm"] == __version__
    assert facts["opencv"]
    assert {"torch", "system", "accelerators", "computes_on", "video_backends", "cache"} <= set(facts)
    assert "versions" not in facts


def test_of_a_run_its_network_and_values_are_shown(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert of_run(run).values == "0 to 255"
    run.config["data"] |= {"values": vars(ValueRange(0.0, 80.0, "mm/h", log=True)), "step": 300.0}
    facts = of_run(run)
    assert (facts.values, facts.step, facts.run) == ("0 to 80 mm/h, logarithmic", "5m", str(run.folder))
    assert facts.network == "4 frames of 32x32, grey, to 3; layers of 4; peephole channel"
    assert of_run(Pretrained()).values == "those of the input"


def test_the_command_takes_a_run(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    assert "0 to 255" in called("info", run.folder, cwd=tmp_path).stdout
    assert json.loads(called("info", "pretrained", "--json", cwd=tmp_path).stdout)["values"] == "those of the input"


def test_versions_are_those_that_run() -> None:
    assert versions()["torch"].split("+")[0] == torch.__version__.split("+")[0]
