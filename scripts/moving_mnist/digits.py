"""The handwritten digits of MNIST, read from its IDX files."""

import gzip
import math
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from convlstm_cli.errors import InputError

Digits = npt.NDArray[np.uint8]
"""(N, side, side)."""

TRAIN, TEST = "train-images-idx3-ubyte", "t10k-images-idx3-ubyte"
MAGIC = 2051
"""The first number of an IDX file of unsigned bytes with three dimensions."""
HELD_OUT = 60
"""One in HELD_OUT training digits is kept for validation: 1,000 of MNIST's 60,000."""


@dataclass(frozen=True)
class Mnist:
    """Digits for training, validation and test; the three share none."""

    train: Digits
    validation: Digits
    test: Digits

    @property
    def digest(self) -> int:
        """A checksum of all digits."""
        return zlib.crc32(self.test.tobytes(), zlib.crc32(self.validation.tobytes(), zlib.crc32(self.train.tobytes())))


def read(folder: Path) -> Mnist:
    """Reads the two IDX files of MNIST's images, plain or .gz, from a folder.

    The last training digits are held out for validation, so that the test digits choose nothing.
    Raises InputError where a file is missing, damaged or of another kind.
    """
    train, test = (_read_images(folder, name) for name in (TRAIN, TEST))
    kept = len(train) - math.ceil(len(train) / HELD_OUT)
    if kept < 1:
        raise InputError(f"{folder / TRAIN}: holds {len(train)} images; at least 2 are needed.")
    return Mnist(train[:kept], train[kept:], test)


def _read_images(folder: Path, name: str) -> Digits:
    found = [path for path in (folder / name, folder / f"{name}.gz") if path.is_file()]
    if not found:
        raise InputError(
            f"{folder}: holds neither {name} nor {name}.gz; put MNIST's {TRAIN} and {TEST} (plain or .gz) there, "
            "or name the folder that has them with --mnist."
        )
    path = found[0]
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read ({error}); fetch it again.") from error
    if len(content) < 16:
        raise InputError(f"{path}: is cut off; fetch it again.")
    magic, count, height, width = np.frombuffer(content, ">i4", 4).tolist()
    if magic != MAGIC or height != width or len(content) != 16 + count * height * width or not count:
        raise InputError(f"{path}: is no whole IDX file of square 8-bit images; fetch it again.")
    return np.frombuffer(content, np.uint8, offset=16).reshape(count, height, width)
