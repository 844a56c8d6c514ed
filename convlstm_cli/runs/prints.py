"""The prints of the frames that a run learns from, by which it recognises them in other files.

prints.safetensors holds one uint8 array (N, CELLS): the prints of all source frames of the training parts of
config.json's split, in their order, then those of the validation parts. A run without the file recognises videos by
path and by digest only.
"""

from pathlib import Path

from safetensors import SafetensorError
from safetensors.numpy import load, save

from convlstm_cli.errors import RunError, first_line
from convlstm_cli.files import replacing
from convlstm_cli.runs.run import Run
from convlstm_cli.video.leaks.prints import CELLS, Prints

NAME = "prints.safetensors"
KEY = "prints"
HEADER = 2**16
"""More bytes than the head of such a file has."""


def write(folder: Path, prints: Prints) -> None:
    """Writes prints (N, CELLS) into a run folder. Raises OutputError where that cannot be."""
    with replacing(folder / NAME) as written:
        written.write_bytes(save({KEY: prints}))


def read(run: Run) -> list[tuple[str, Prints]]:
    """The name of the video and the prints (T, CELLS) of each part that a run learns from; none where they are unknown.

    Raises RunError where the file is damaged or of another run.
    """
    split = run.config["data"]["split"]
    parts = [*split["train"], *split["validation"]]
    frames = sum(part["source_stop"] - part["source_start"] for part in parts)
    path = run.folder / NAME
    if not frames or not path.is_file():
        return []
    try:
        if path.stat().st_size > frames * CELLS + HEADER:
            raise ValueError("it is larger than the run's videos")
        prints = load(path.read_bytes())[KEY]
        if prints.shape != (frames, CELLS) or prints.dtype != "uint8":
            raise ValueError(f"it is not of the run's {frames} frames")
    except (OSError, ValueError, KeyError, SafetensorError) as error:
        raise RunError(
            f"{path}: is damaged or of another run ({first_line(error)}); restore it, or delete it to recognise videos "
            "by path and whole content only."
        ) from error
    found, start = [], 0
    for part in parts:
        stop = start + part["source_stop"] - part["source_start"]
        found.append((str(part["video"]), prints[start:stop]))
        start = stop
    return found
