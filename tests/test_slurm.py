"""The Slurm scripts, run without Slurm: programs of the same names print the commands that they would start."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from convlstm_cli.cli.app import app

SCRIPTS = Path(__file__).parent.parent / "scripts" / "slurm"

pytestmark = pytest.mark.skipif(sys.platform == "win32" or not shutil.which("bash"), reason="needs bash")


def started(script: str, place: Path, **variables: str) -> list[list[str]]:
    """The arguments of each `srun` that a script makes; `scontrol` knows two hosts."""
    programs = place / "bin"
    programs.mkdir()
    for name, line in {
        "srun": 'printf "%s\\n" "$OMP_NUM_THREADS" "$@" --end--',
        "scontrol": 'test "$1 $2 $3" = "show hostnames node[1-2]" && printf "node1\\nnode2\\n"',
    }.items():
        (programs / name).write_text(f"#!/usr/bin/env bash\n{line}\n")
        (programs / name).chmod(0o755)
    done = subprocess.run(
        ["bash", str(SCRIPTS / script)],
        env={"PATH": f"{programs}:{os.environ['PATH']}", **variables},
        capture_output=True,
        text=True,
        check=True,
        cwd=place,
    )
    *calls, rest = done.stdout.split("--end--\n")
    assert rest == done.stderr == ""
    return [call.splitlines() for call in calls]


def test_each_task_of_the_array_predicts_its_share(tmp_path: Path) -> None:
    [[threads, *command]] = started(
        "predict.sbatch", tmp_path, SLURM_CPUS_PER_TASK="4", INPUT="my videos", RUN="runs/a", OUTPUT="out"
    )
    assert threads == "4"
    assert command == ["convlstm", "predict", "my videos", "-m", "runs/a", "-o", "out", "-v"]


def test_one_torchrun_on_each_node_goes_on_with_the_run(tmp_path: Path) -> None:
    job = {"SLURM_JOB_ID": "7", "SLURM_JOB_NUM_NODES": "2", "SLURM_JOB_NODELIST": "node[1-2]"}
    [[threads, *command]] = started("train.sbatch", tmp_path, SLURM_CPUS_PER_TASK="8", PROCESSES="2", **job)
    assert threads == "4"
    launcher, ours = command[: command.index("-m")], command[command.index("-m") :]
    rendezvous = ["--rdzv-backend=c10d", "--rdzv-endpoint=node1:29500", "--rdzv-id=7"]
    assert launcher == ["torchrun", "--nnodes=2", "--nproc-per-node=2", *rendezvous]
    assert ours == ["-m", "convlstm_cli", "train", "videos", "-o", "runs/mine", "--resume", "-v"]


@pytest.mark.parametrize("command", ["train", "predict"])
def test_the_started_commands_have_valid_options(command: str) -> None:
    """The options exist: the command shows its help instead of an error about one of them."""
    line = {"train": ["videos", "-o", "x", "--resume", "-v"], "predict": ["videos", "-m", "x", "-o", "y", "-v"]}
    shown = CliRunner().invoke(app, [command, *line[command], "--help"])
    assert shown.exit_code == 0


def test_slurm_is_asked_for_what_the_scripts_need() -> None:
    train = (SCRIPTS / "train.sbatch").read_text(encoding="utf-8")
    for option in ("--signal=TERM@60", "--requeue", "--ntasks-per-node=1", "--dependency=singleton"):
        assert f"\n#SBATCH {option}\n" in train
    assert "\n#SBATCH --array=0-3\n" in (SCRIPTS / "predict.sbatch").read_text(encoding="utf-8")


@pytest.mark.skipif(not shutil.which("shellcheck"), reason="shellcheck is not installed")
@pytest.mark.parametrize("script", ["train.sbatch", "predict.sbatch"])
def test_shellcheck_finds_nothing(script: str) -> None:
    subprocess.run(["shellcheck", str(SCRIPTS / script)], check=True)
