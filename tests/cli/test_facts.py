import torch

from convlstm_cli import __version__
from convlstm_cli.cli.facts import gather
from convlstm_cli.compute.versions import versions


def test_info_has_what_a_bug_report_needs() -> None:
    facts = gather()
    assert facts["convlstm"] == __version__
    assert facts["opencv"]
    assert "torch" in facts["processor"]
    assert {"system", "accelerators", "computes_on", "video_backends", "cache"} <= set(facts)
    assert facts["compiled_kernels"].startswith("gates: ")


def test_versions_are_those_that_run() -> None:
    assert versions()["torch"].split("+")[0] == torch.__version__.split("+")[0]
