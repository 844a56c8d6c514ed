"""PyAV is quiet, and says what to do where it does not load."""

import subprocess
import sys
from pathlib import Path


def test_a_missing_package_comes_with_its_remedy(tmp_path: Path) -> None:
    (tmp_path / "av.py").write_text("raise ImportError('no such library')")
    code = """
import sys
sys.path.insert(0, sys.argv[1])
from convlstm_cli.errors import DependencyError
try:
    import convlstm_cli.video.pyav
except DependencyError as error:
    print(error)
"""
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "PyAV does not load (no such library); install it with `pip install av`.\n"
    assert done.stderr == ""
