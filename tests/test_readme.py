"""The READMEs: their commands run, their options and links exist, and the list of files is that of the package."""

import importlib
import os
import re
import shlex
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import netCDF4
import numpy as np
import pytest
from helpers import moving_square
from PIL import Image
from typer.main import get_command
from typer.testing import CliRunner

from convlstm_cli.cli.app import app

sys.path.append(str(Path(__file__).parents[1] / "scripts"))

import list_files
import make_readme_picture

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = sorted(
    path
    for folder in (".", "convlstm_cli", "convlstm_cli/nn", "scripts", "sample_data")
    for path in (ROOT / folder).glob("*.md")
)
PICTURE = ROOT / ".github" / "forecast.gif"

NETWORK = "--size 32 --frames 3 --hidden 4 --kernel-size 3 --input-frames 4 --forecaster unconditioned --device cpu"
SMALL = {
    "train": f"{NETWORK} --max-steps 2",
    "compare": f"{NETWORK} --arms none,channel",
    "predict": "--device cpu",
}
"""Options that make a command of the README quick, where the command does not have them."""

QUICK = {"--max-time": "100ms", "--seeds": "1", "--members": "2", "--frames": "8", "--size": "48"}
"""Values that replace those of the README."""

TORCHRUN = {"--nnodes", "--nproc-per-node", "--rdzv-backend", "--rdzv-endpoint"}


def commands(page: str) -> Iterator[str]:
    """The lines of the page's ```sh blocks, without their comments."""
    for block in re.findall(r"```sh\n(.*?)```", page, re.DOTALL):
        yield from (line.split("  #")[0].strip() for line in block.splitlines())


def quick(arguments: list[str]) -> list[str]:
    """The arguments of a command of the README as the test calls it, with small networks and short times."""
    name, *rest = arguments
    for option, value in QUICK.items():
        if option in rest:
            rest[rest.index(option) + 1] = value
    if name == "compare" and all(Path(each).is_dir() and each.startswith("runs/") for each in rest):
        return [name, *rest]  # existing runs, which take no option of a training
    added = shlex.split(SMALL.get(name, ""))
    if "--vary" in rest:  # which says what to compare, as --arms does
        added = shlex.split(NETWORK.replace("--hidden 4", "--hidden 4,4"))
    if name == "compare":
        added += ["--seeds", "1", *([] if "--max-time" in rest else ["--max-steps", "1"])]
    pairs = [(option, value) for option, value in zip(added[::2], added[1::2], strict=True) if option not in rest]
    return [name, *rest, *(word for pair in pairs for word in pair)]


@pytest.mark.usefixtures("short_motion", "without_charts")
def test_the_commands_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All of them in turn, in one folder, as a reader calls them: the later ones use what the earlier ones wrote."""
    monkeypatch.chdir(tmp_path)
    Path("my_videos").mkdir()
    for index in range(5):
        np.save(f"my_videos/{index}.npy", moving_square(26, seed=index))
    video = cv2.VideoWriter("new.webm", cv2.VideoWriter.fourcc(*"VP90"), 10.0, (32, 32))
    for frame in moving_square(20, seed=9, channels=3):
        video.write(frame)
    video.release()
    camera = cv2.VideoWriter("camera.webm", cv2.VideoWriter.fourcc(*"VP90"), 10.0, (32, 32))
    for frame in moving_square(80, seed=3, channels=3):
        camera.write(frame)
    camera.release()
    make_radar(Path("radar"))

    found = list(commands(README))
    assert len(found) >= 12
    for command in found:
        program, *arguments = shlex.split(command)
        if program.startswith("scripts/"):
            assert os.access(ROOT / program, os.X_OK), program
            continue
        assert Path(program).name == "convlstm"
        result = CliRunner().invoke(app, quick(arguments))
        assert result.exit_code == 0, f"{command}: {result.output}"

    assert Path("runs/mine/report.html").exists()
    assert Path("forecasts/my_videos-1/new/frame_000001.png").exists()
    assert Path("forecasts/mine/new/scored").is_dir()
    with netCDF4.Dataset("forecasts/radar-1/today/forecast.nc") as forecast:
        assert forecast["rainfall_rate"].units == "mm/h"
        assert forecast["time"][0] == 26
        assert forecast["rainfall_rate"][:, :3].mask.all()
    assert len(list(Path("forecasts/mine").glob("*/forecast.mp4"))) == 5
    assert Path("forecasts/pretrained/new/members.webm").exists()
    with netCDF4.Dataset("forecasts/pretrained/today/exceed_1.0.nc") as exceedance:
        assert 0 <= exceedance["exceedance"][:].min() <= exceedance["exceedance"][:].max() <= 1
    assert Path("runs/futures/calibration.json").exists()
    assert len(list(Path("runs").glob("compare-*/summary.json"))) == 4

    monkeypatch.setattr(sys, "argv", ["", "runs/mine", "new.webm", "--at", "12", "--output", "made/picture.gif"])
    assert make_readme_picture.main() == 0
    assert pictures_of(Path("made/picture.gif")) == 4 + 3
    monkeypatch.setattr(sys, "argv", ["", "runs/mine", "new.webm", "--at", "18", "--output", "made/late.gif"])
    assert make_readme_picture.main() == 1
    assert "--at 18 needs 21" in capsys.readouterr().err


def make_radar(folder: Path) -> None:
    """Days of rain in mm/h, the last of them today's, without values at the edge."""
    folder.mkdir()
    for day in ("monday", "tuesday", "today"):
        with netCDF4.Dataset(folder / f"{day}.nc", "w") as file:
            for name, size in (("time", 26), ("y", 32), ("x", 32)):
                file.createDimension(name, size)
                file.createVariable(name, "f8", (name,))[:] = np.arange(size)
            file["time"].units = f"minutes since 2024-06-0{len(day)} 00:00"
            rain = moving_square(26, seed=len(day))[..., 0] / np.float32(10) - 1
            rain[:, :3] = np.nan
            file.createVariable("rainfall_rate", "f4", ("time", "y", "x"), fill_value=np.nan)[:] = rain
            file["rainfall_rate"].units = "mm/h"


def pictures_of(path: Path) -> int:
    with Image.open(path) as image:
        return int(getattr(image, "n_frames", 1))


def test_the_picture_moves_and_is_small() -> None:
    assert f"]({PICTURE.relative_to(ROOT).as_posix()})" in README
    assert PICTURE.stat().st_size < 1_000_000
    assert pictures_of(PICTURE) > 10


def test_the_readme_is_short_and_names_the_command_of_ci() -> None:
    assert len(README.splitlines()) <= 150
    ran = (ROOT / ".ci" / "run").read_text(encoding="utf-8").split()[-1]
    assert ran in list(commands(README))


@pytest.fixture(scope="module")
def known() -> set[str]:
    """Every option of the commands, of the scripts, and of torchrun as far as the READMEs and scripts use it."""
    group: Any = get_command(app)
    every = [group, *(group.get_command(None, name) for name in group.list_commands(None))]
    parameters = [parameter for command in every for parameter in command.params]
    options = {name for each in parameters for name in (*each.opts, *each.secondary_opts)}
    for script in (ROOT / "scripts").rglob("*"):
        if script.suffix == ".py":
            options |= set(re.findall(r'\badd(?:_argument)?\(\s*"(--[a-z-]+)"', script.read_text(encoding="utf-8")))
        elif script.is_file() and script.suffix in ("", ".sbatch"):
            options |= set(re.findall(r"--[a-z][a-z-]+", script.read_text(encoding="utf-8")))
    return options | TORCHRUN | {"--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_option_that_a_page_names_exists(page: Path, known: set[str]) -> None:
    used = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.read_text(encoding="utf-8")))
    assert used <= known, used - known


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if not target.startswith("http"):
            path, _, heading = target.partition("#")
            file = page.parent / path if path else page
            assert file.exists(), target
            assert not heading or heading in anchors(file), target


def anchors(page: Path) -> set[str]:
    """The anchors that GitHub gives to the headings of a page."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading).strip().lower().replace(" ", "-") for heading in headings}


def test_every_file_of_the_package_has_its_line() -> None:
    text = list_files.README.read_text(encoding="utf-8")
    assert list_files.with_list(text) == text, "run scripts/list_files.py"
    for path in list_files.PACKAGE.rglob("*.py"):
        heading = path.name == "__init__.py" and path.parent.parent == list_files.PACKAGE
        line = f"\n### {path.parent.name}/\n" if heading else f"]({path.relative_to(list_files.PACKAGE).as_posix()})"
        assert line in text, path


def test_every_registry_that_contributing_names_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| an? [\w ]+ \| (.*) \| `([\w/]+)\.py` \|$", text, re.MULTILINE)
    assert len(rows) >= 12
    for entry, file in rows:
        module = importlib.import_module(f"convlstm_cli.{file.replace('/', '.').removesuffix('.__init__')}")
        for name in re.findall(r"`([A-Z_]{4,})`(?! of)", entry):
            assert getattr(module, name), f"{file}.py has no {name}"
        for name, other in re.findall(r"`([A-Z_]+)` of `([\w/]+)\.py`", entry):
            assert getattr(importlib.import_module(f"convlstm_cli.{other.replace('/', '.')}"), name)


def test_every_script_has_its_line() -> None:
    text = (ROOT / "scripts" / "README.md").read_text(encoding="utf-8")
    scripts = [path for path in (ROOT / "scripts").iterdir() if path.is_file() and path.suffix in ("", ".py")]
    assert not [path.name for path in scripts if f"`{path.name}" not in text]
    for name in re.findall(r"^\| `([\w./-]+)", text.split("\n## ")[0], re.MULTILINE):
        assert (ROOT / "scripts" / name).is_file(), name
