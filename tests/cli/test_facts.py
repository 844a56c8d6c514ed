import torch

from convlstm_cli import __version__
from convlstm_cli.cli.facts import gather
from convlstm_cli.compute.versions import versions


def test_info_has_what_a_bug_report_needs() -> None:
    facts = gather()
    assert facts.versions["convlstm"] == __version__
    assert "torch" in facts.processor
    assert facts.compiled_kernels.startswith("gates: ")


def test_json_has_the_versions_beside_the_other_facts() -> None:
    facts = gather().to_dict()
    assert facts["convlstm"] == __version__
    assert facts["opencv"]
    assert {"torch", "system", "accelerators", "computes_on", "video_backends", "cache"} <= set(facts)
    assert "versions" not in facts


def test_versions_are_those_that_run() -> None:
    assert versions()["torch"].split("+")[0] == torch.__version__.split("+")[0]
