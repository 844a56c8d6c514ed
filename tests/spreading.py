"""How pytest-xdist spreads the tests over its processes: whole files, and files together that share what takes long.

So the fixtures of a file are made once. pytest-xdist 3.8 has groups of its own, `--dist=loadgroup`; but with pytest 9.2
they have no effect, and nothing says so.
"""

from xdist.scheduler import LoadFileScheduling

TOGETHER = {
    "tests/test_export.py": "exported networks",
    "tests/interop/test_onnx_program.py": "exported networks",
    "tests/interop/test_torch_program.py": "exported networks",
    "tests/comparing/test_arm_summary.py": "shelf",
    "tests/comparing/test_case.py": "shelf",
    "tests/comparing/test_clip_table.py": "shelf",
    "tests/comparing/test_judge.py": "shelf",
    "tests/comparing/test_recorded.py": "shelf",
    "tests/comparing/test_scored.py": "shelf",
    "tests/comparing/test_shown_clips.py": "shelf",
}
"""What files share: networks of `exporting.py`, and runs of the shelf of `made_plans.py`."""


class FilesTogether(LoadFileScheduling):  # type: ignore[misc]
    """Each file, and each group of files that share something, goes to one process as a whole."""

    def _split_scope(self, nodeid: str) -> str:
        file: str = super()._split_scope(nodeid)
        return TOGETHER.get(file, file)
