"""spreading.py, with processes that are not started."""

from pathlib import Path
from types import SimpleNamespace

import pytest
from spreading import TOGETHER, FilesTogether


class Process:
    """Takes tests as a process of pytest-xdist does, and runs none."""

    shutting_down = False

    def __init__(self) -> None:
        self.gateway = SimpleNamespace(id="gw0")
        self.given: list[int] = []

    def send_runtest_some(self, indices: list[int]) -> None:
        self.given += indices

    def shutdown(self) -> None:
        self.shutting_down = True


def test_files_and_what_they_share_stay_in_one_process(pytestconfig: pytest.Config) -> None:
    onnx, torch = "tests/interop/test_onnx_program.py", "tests/interop/test_torch_program.py"
    tests = [f"{file}::test_{number}" for number in range(2) for file in (onnx, "tests/test_other.py", torch)]
    option = SimpleNamespace(tx=["2*popen"], loadscopereorder=True)
    config = SimpleNamespace(option=option, getvalue=lambda name: getattr(option, name), hook=pytestconfig.hook)
    scheduler = FilesTogether(config)
    processes = [Process(), Process()]
    for process in processes:
        scheduler.add_node(process)
        scheduler.add_node_collection(process, tests)
    scheduler.schedule()
    given = [{tests[index].split("::")[0] for index in process.given} for process in processes]
    assert given == [{onnx, torch}, {"tests/test_other.py"}]
    assert sum(len(process.given) for process in processes) == len(tests)


def test_pytest_xdist_asks_for_it(pytestconfig: pytest.Config) -> None:
    for dist, kind in (("loadfile", FilesTogether), ("no", type(None))):
        config = SimpleNamespace(getvalue=lambda _name, dist=dist: dist, option=SimpleNamespace(tx=["popen"]))
        found = pytestconfig.hook.pytest_xdist_make_scheduler(config=config, log=None)
        assert type(found) is kind


def test_files_that_share_something_are_there() -> None:
    root = Path(__file__).parents[1]
    assert [file for file in TOGETHER if not (root / file).is_file()] == []
