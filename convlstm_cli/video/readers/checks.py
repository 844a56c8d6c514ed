"""Checks, errors and notes that several readers share."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

from convlstm_cli.errors import InputError
from convlstm_cli.paths import nearest, quoted
from convlstm_cli.video.opencv import MAX_PIXELS

CONVERT = "convert it to H.264 or VP9, for example with `ffmpeg -i IN -c:v libvpx-vp9 OUT.webm`"
"""What a message suggests for a video that cannot be decoded."""
TRANSPARENT = "its wholly transparent pixels are missing"
"""The note about a video of floats that have NaN in place of an alpha of 0."""
EIGHT_BITS = (0.0, 255.0)
"""The range of values of 8 bits, where missing pixels make them floats."""
CUT_OFF = 0.9
"""Share of the declared frames below which a video counts as cut off: containers are often wrong by a frame or two."""


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into an InputError that names the file and the remedy."""
    try:
        yield
    except FileNotFoundError as error:
        if path.is_symlink():
            raise InputError(f"{path}: is a link to {path.readlink()}, which is not there.") from error
        meant = nearest(path)
        remedy = "check the spelling." if meant is None else f"did you mean {quoted(meant)}?"
        raise InputError(f"{path}: is not there; {remedy}") from error
    except PermissionError as error:
        raise InputError(f"{path}: may not be read; change its permissions.") from error
    except IsADirectoryError as error:
        raise InputError(f"{path}: is a folder named as a file; rename or remove it.") from error
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error}).") from error


def check_pixels(path: Path, height: int, width: int) -> None:
    """Raises InputError for frames that would take too much memory."""
    if height * width > MAX_PIXELS:
        raise InputError(
            f"{path}: has frames of {height}x{width} pixels, and more than {MAX_PIXELS} are not decoded; make them "
            "smaller."
        )


def changed_size(path: Path, first: tuple[int, ...], now: tuple[int, ...], number: int) -> InputError:
    """The error for a video whose frame `number`, from 1, has another height and width than the first."""
    return InputError(
        f"{path}: changes from {first[0]}x{first[1]} to {now[0]}x{now[1]} pixels at frame {number}; all frames of a "
        f"video must have one size, so {CONVERT}."
    )


def turned_note(degrees: int) -> str:
    """The note about a video that is turned as its file asks."""
    return f"it is turned by {degrees % 360} degrees, as the file asks"


def opencv_name(path: Path) -> str:
    """The path as OpenCV takes it. Raises InputError for a path that is not UTF-8, at which OpenCV crashes."""
    # FFmpeg cannot take an absolute path for one of its protocols, such as "concat:".
    name = str(path.absolute())
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(
            f"{path}: its name or a folder's is not UTF-8, so OpenCV cannot open it; rename it."
        ) from error
    return name


def cut_off(decoded: int, declared: int | None, seconds: float | None = None, fps: float | None = None) -> str | None:
    """The warning for a video with far fewer frames than it declares; None where there is nothing to warn of.

    `seconds` from the first frame to the last, at `fps` frames a second, show whether a video of few frames is short.
    """
    covered = decoded if seconds is None or fps is None else max(decoded, seconds * fps + 1)
    if declared is None or covered >= CUT_OFF * declared:
        return None
    return (
        f"only {decoded} of the {declared} frames that it declares can be decoded, so it may be cut off or damaged; "
        "those are used"
    )
