from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.tensors import to_float
from convlstm_cli.video.values import BYTES, ValueRange
from convlstm_cli.watching.input_format import InputFormat
from convlstm_cli.watching.steps import Step
from convlstm_cli.watching.windows import batches

GREY = InputFormat((16, 16), None, 1, BYTES, None, "uint8")
FLOATS = InputFormat((16, 16), None, 1, ValueRange(0.0, 1.0), None, "float32")


def steps(frames: NDArray[np.generic], gaps: tuple[int, ...] = ()) -> Iterator[Step]:
    for at, frame in enumerate(frames):
        yield Step(at + 1, at / 10, frame, begins=at == 0 or at in gaps)


def numbered(count: int) -> NDArray[np.uint8]:
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 16, 16, 1))


@pytest.mark.parametrize("size", [1, 3, 50])
def test_each_frame_has_those_before_it_whatever_the_batch(size: int) -> None:
    found = [
        (moment.frame, (batch.clips[moment.row, :, 0, 0, 0] - moment.frame + 1).tolist())
        for batch in batches(steps(numbered(20)), GREY, 4, size)
        for moment in batch.moments
        if moment.row is not None
    ]
    assert [frame for frame, _ in found] == list(range(5, 21))
    assert all(torch.tensor(values, dtype=torch.uint8).tolist() == [252, 253, 254, 255, 0] for _, values in found)


def test_all_frames_are_given_in_order_and_those_after_a_gap_have_no_window() -> None:
    moments = [m for batch in batches(steps(numbered(20), gaps=(11,)), GREY, 4, 3) for m in batch.moments]
    assert [moment.frame for moment in moments] == list(range(1, 21))
    assert [moment.frame for moment in moments if moment.row is None] == [1, 2, 3, 4, 12, 13, 14, 15]


def test_a_frame_without_values_is_a_gap() -> None:
    frames = np.random.default_rng(0).random((20, 16, 16, 1)).astype(np.float32)
    frames[9] = np.nan
    frames[3, :4] = np.nan  # some pixels only
    moments = [m for batch in batches(steps(frames), FLOATS, 4, 3) for m in batch.moments]
    assert [moment.frame for moment in moments if moment.row is None] == [1, 2, 3, 4, 10, 11, 12, 13, 14]


def test_padding_shows_nothing_and_places_are_those_of_the_source() -> None:
    input_format = InputFormat((20, 40), FrameGeometry(32, 32, "pad"), 1, BYTES, None, "uint8")
    inside = input_format.content()
    assert inside.sum() == 16 * 32
    seen = to_float(input_format.tensor(np.full((20, 40, 1), 255, np.uint8)), torch.device("cpu"))
    assert bool((seen[0][inside] == 1).all())
    assert float(seen.sum()) == 16 * 32
    assert input_format.in_source(8, 0) == (0, 0)
    assert input_format.in_source(16, 16) == (10, 20)
    assert input_format.in_source(31, 31) == (19, 38)
    assert GREY.in_source(3.0, 5.0) == (3, 5)
