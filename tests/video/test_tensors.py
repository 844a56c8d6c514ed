import numpy as np
import numpy.typing as npt
import pytest
import torch

from convlstm_cli.video.tensors import clip_tensor, to_float, truth_tensor, valid
from convlstm_cli.video.values import BYTES, ValueRange

CPU = torch.device("cpu")
CONTENT = slice(1, 5), slice(0, 6)
"""Rows and columns of frames of 6x6 that are no padding."""


def rain(dtype: str, missing: float) -> npt.NDArray[np.generic]:
    """(3, 6, 6, 1) of 0 to 90 with a missing pixel in each frame."""
    frames = np.random.default_rng(0).integers(0, 90, (3, 6, 6, 1)).astype(dtype)
    frames[:, 2, 3] = missing
    return frames


@pytest.mark.parametrize(("dtype", "missing"), [("float32", np.nan), ("int16", -99)])
def test_a_truth_keeps_values_outside_the_range(dtype: str, missing: float) -> None:
    frames, values = rain(dtype, missing), ValueRange(20.0, 40.0)
    declared = None if np.isnan(missing) else missing
    truth, there = truth_tensor(frames, values, declared, CONTENT)
    seen = clip_tensor(frames, values, declared, CONTENT)
    assert there is not None
    assert torch.equal(there, torch.as_tensor(valid(seen, CPU)))
    assert torch.equal(truth.clamp(0, 1), to_float(seen, CPU))  # also in padding and where values are missing
    inner = torch.zeros_like(there)
    inner[..., CONTENT[0], CONTENT[1]] = True
    expected = frames.transpose(0, 3, 1, 2)[(there & inner).numpy()]
    np.testing.assert_allclose(truth[there & inner] * 20 + 20, expected, rtol=1e-5)


def test_a_truth_of_pictures_is_what_the_network_would_see() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 4, 5, 3), np.uint8)
    truth, there = truth_tensor(frames, BYTES)
    assert there is None
    assert torch.equal(truth, to_float(clip_tensor(frames, BYTES), CPU))
