"""Moving MNIST as a folder of videos, for the commands of `convlstm`."""

from pathlib import Path

import numpy as np

from moving_mnist import digits, sequences


def draw_moving_mnist(mnist: Path, folder: Path, count: int) -> None:
    """Writes `count` sequences of 20 frames of the training digits into `folder`, one .npy file each."""
    folder.mkdir(parents=True)
    for index, clip in enumerate(sequences.sequences(digits.read(mnist).train, count, 20, (0,))):
        np.save(folder / f"sequence_{index:04d}.npy", clip[:, 0])
