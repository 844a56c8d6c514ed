"""Made-up recordings as prints, and clips that are cut from them, for tests of what may not leak."""

import numpy as np

from convlstm_cli.video.leaks.prints import SIDE, Prints


def recording(frames: int, seed: int, *, blobs: int = 3, background: int | None = None) -> Prints:
    """Bright blobs that bounce on black, or before the background of a seed."""
    rng = np.random.default_rng(seed)
    rows, columns = np.mgrid[:SIDE, :SIDE] + 0.5
    places, steps = rng.uniform(0, SIDE, (blobs, 2)), rng.normal(0, 0.15, (blobs, 2))
    light, width = rng.uniform(80, 200, blobs), rng.uniform(0.6, 1.5, blobs)
    made = np.zeros((frames, SIDE, SIDE))
    if background is not None:
        made += np.random.default_rng(background).uniform(0, 60, (SIDE, SIDE))
    far = (places + steps * np.arange(1, frames + 1)[:, None, None]) % (2 * SIDE)
    paths = np.minimum(far, 2 * SIDE - far)  # they bounce
    for path, bright, wide in zip(paths.transpose(1, 2, 0)[..., None, None], light, width, strict=True):
        made += bright * np.exp(-((rows - path[0]) ** 2 + (columns - path[1]) ** 2) / (2 * wide**2))
    return np.clip(np.rint(made), 0, 255).astype(np.uint8).reshape(frames, -1)


def compressed(prints: Prints, seed: int, *, noise: float = 0.7, brighter: float = 0.0) -> Prints:
    """The prints as a lossy codec leaves them."""
    rng = np.random.default_rng(seed)
    changed = prints + brighter + rng.normal(0, noise, prints.shape)
    return np.clip(np.rint(changed), 0, 255).astype(np.uint8)
