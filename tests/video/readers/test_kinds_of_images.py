"""Notes about images of one video that are grey or in colour, or whose pixels are numbers of colours in a palette."""

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from video_helpers import write_image

from convlstm_cli.video.readers import open_video
from convlstm_cli.video.readers.palette import READ_AS_COLOURS

GREY = np.random.default_rng(0).integers(0, 8, (20, 24), np.uint8)
COLOURED = np.random.default_rng(1).integers(0, 256, (20, 24, 3), np.uint8)
CLASSES = np.random.default_rng(2).integers(0, 256, (256, 3), np.uint8)
RAMP = np.repeat(np.arange(256, dtype=np.uint8)[:, None], 3, axis=1)


def notes_of(path: Path) -> list[str]:
    with open_video(path) as video:
        list(video)
    return video.notes


def write_palette(path: Path, palette: NDArray[Any]) -> None:
    image = Image.fromarray(GREY)
    image.putpalette(palette.tobytes())
    image.save(path)


@pytest.mark.parametrize("in_zip", [True, False])
def test_grey_and_coloured_images_of_one_folder_are_said_once(tmp_path: Path, in_zip: bool) -> None:
    for number, pixels in enumerate((GREY, COLOURED, GREY, COLOURED)):
        write_image(tmp_path / f"f{number}.png", pixels)
    folder, inside = tmp_path, ""
    if in_zip:
        folder, inside = tmp_path / "a.zip", "a.zip: "
        with zipfile.ZipFile(folder, "w") as archive:
            for file in sorted(tmp_path.glob("*.png")):
                archive.write(file, file.name)
    (note,) = notes_of(folder)
    assert note == (
        f"some of its images are grey, such as {inside}f0.png, and others in colour, such as {inside}f1.png; all are "
        "read as RGB"
    )


def test_images_that_are_all_grey_or_all_coloured_have_no_note(tmp_path: Path) -> None:
    for number, pixels in enumerate((GREY, np.repeat(GREY[..., None], 3, axis=2), GREY)):
        write_image(tmp_path / "grey" / f"f{number}.png", pixels)
        write_image(tmp_path / "rgb" / f"f{number}.png", COLOURED)
    assert notes_of(tmp_path / "grey") == notes_of(tmp_path / "rgb") == []


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_a_palette_of_colours_is_said(tmp_path: Path, suffix: str) -> None:
    for folder, palette in (("classes", CLASSES), ("ramp", RAMP), ("fallen", RAMP[::-1])):
        (tmp_path / folder).mkdir()
        for number in range(2):
            write_palette(tmp_path / folder / f"f{number}.{suffix}", palette)
    assert notes_of(tmp_path / "classes") == [f"{READ_AS_COLOURS} (such as f0.{suffix})"]
    assert notes_of(tmp_path / "fallen") == [f"{READ_AS_COLOURS} (such as f0.{suffix})"]
    assert notes_of(tmp_path / "ramp") == []


def test_a_palette_of_a_stack_is_said(tmp_path: Path) -> None:
    tifffile: Any = pytest.importorskip("tifffile")
    for name, palette in (("classes", CLASSES), ("ramp", RAMP)):
        table = palette.T.astype(np.uint16) * 257
        tifffile.imwrite(
            tmp_path / f"{name}.tif", np.stack([GREY, GREY]), photometric="palette", colormap=table, metadata=None
        )
    assert notes_of(tmp_path / "classes.tif") == [READ_AS_COLOURS]
    assert notes_of(tmp_path / "ramp.tif") == []
