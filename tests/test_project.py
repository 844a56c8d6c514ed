"""What the README and the package say of themselves."""

import importlib
import re
import subprocess
import sys
from pathlib import Path

import pytest

import convlstm_cli

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ("train", "predict", "compare", "evaluate", "inspect", "explain", "export", "info")


@pytest.mark.parametrize("name", convlstm_cli.__all__)
def test_public_names_exist_and_are_the_same_every_time(name: str) -> None:
    assert getattr(convlstm_cli, name) is getattr(convlstm_cli, name)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'forecat'"):
        _ = convlstm_cli.forecat


def test_the_package_imports_without_torch_and_opencv() -> None:
    code = "import sys, convlstm_cli, convlstm_cli.nn; assert not {'torch', 'cv2'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_readme_uses_options_that_exist() -> None:
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README))
    known = {
        "--version",
        "--nnodes",
        "--nproc-per-node",
        "--rdzv-backend",
        "--rdzv-endpoint",
    }  # the last are torchrun's
    for command in COMMANDS:
        done = subprocess.run(
            [sys.executable, "-m", "convlstm_cli", command, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={"COLUMNS": "240", "PATH": "", "PYTHONPATH": str(ROOT)},
        )
        known |= set(re.findall(r"--[a-z][a-z-]+", done.stdout))
    for script in (ROOT / "scripts").glob("*.py"):
        known |= set(re.findall(r'add_argument\("(--[a-z-]+)"', script.read_text(encoding="utf-8")))
    for script in (ROOT / "scripts/slurm").glob("*.sbatch"):  # what Slurm and torchrun are asked for
        known |= set(re.findall(r"--[a-z][a-z-]+", script.read_text(encoding="utf-8")))
    assert used <= known, used - known


def test_the_readme_has_a_place_for_every_file() -> None:
    modules = [path for path in (ROOT / "convlstm_cli").rglob("*.py") if not path.name.startswith("__")]
    missing = [path.name for path in modules if f"{path.name}`" not in README]
    assert not missing


def test_nothing_imports_upwards() -> None:
    """nn/ and video/ know nothing of the rest but errors, files (compiled kernels are kept) and their own kind."""
    allowed = {"nn": {"errors", "files", "nn"}, "video": {"errors", "files", "video"}}
    for folder, may in allowed.items():
        for path in (ROOT / "convlstm_cli" / folder).glob("*.py"):
            imported = set(re.findall(r"convlstm_cli\.(\w+)", path.read_text(encoding="utf-8")))
            assert imported <= may, f"{path.name} imports {imported - may}"


def test_every_error_has_its_documented_exit_code() -> None:
    errors = importlib.import_module("convlstm_cli.errors")
    tree = re.findall(r"[├└]── (\w+) +(\d+)", errors.__doc__ or "")
    assert len(tree) == 8
    for name, code in tree:
        assert getattr(errors, name).exit_code == int(code)
