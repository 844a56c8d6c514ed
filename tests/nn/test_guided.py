"""The guided filter of motions, against its definition and what it is for."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from convlstm_cli.nn.motion import SEARCHES, blur, estimate_motion
from convlstm_cli.nn.motion.gaussian import gaussian
from convlstm_cli.nn.motion.guided import CONTRAST, LEAST_TRUST, STRUCTURE, smooth, trust

SIGMA = 1.0


def by_definition(flow: Tensor, weight: Tensor, frame: Tensor) -> Tensor:
    """A line fitted in each window, and the mean of the lines at each pixel; by loops over pixels, in float64."""
    kernel = torch.tensor(gaussian(SIGMA), dtype=torch.float64)
    radius, (height, width) = len(kernel) // 2, frame.shape
    window = kernel[:, None] * kernel

    def around(values: Tensor, row: int, column: int) -> Tensor:
        rows = torch.arange(row - radius, row + radius + 1).clamp(0, height - 1)
        columns = torch.arange(column - radius, column + radius + 1).clamp(0, width - 1)
        return values[rows][:, columns]

    slope, offset, total = torch.zeros(height, width), torch.zeros(height, width), torch.zeros(height, width)
    slope, offset, total = slope.double(), offset.double(), total.double()
    for row in range(height):
        for column in range(width):
            weights = window * around(weight, row, column)
            total[row, column] = weights.sum()
            weights = weights / weights.sum()
            brightness, motion = around(frame, row, column), around(flow, row, column)
            mean, moved = (weights * brightness).sum(), (weights * motion).sum()
            variance = (weights * (brightness - mean) ** 2).sum()
            covariance = (weights * (brightness - mean) * (motion - moved)).sum()
            slope[row, column] = covariance / (variance + CONTRAST)
            offset[row, column] = moved - slope[row, column] * mean
    found = torch.zeros(height, width).double()
    for row in range(height):
        for column in range(width):
            weights = window * around(total, row, column)
            lines = around(slope, row, column) * frame[row, column] + around(offset, row, column)
            found[row, column] = (weights * lines).sum() / weights.sum()
    return found


def test_it_computes_what_its_definition_says() -> None:
    random = torch.Generator().manual_seed(0)
    flow = torch.randn(1, 2, 7, 9, generator=random, dtype=torch.float64)
    weight = 0.02 + torch.rand(1, 1, 7, 9, generator=random, dtype=torch.float64)
    frame = torch.rand(1, 1, 7, 9, generator=random, dtype=torch.float64)
    found = smooth(flow, weight, frame, SIGMA)
    for axis in range(2):
        assert torch.allclose(found[0, axis], by_definition(flow[0, axis], weight[0, 0], frame[0, 0]), atol=1e-10)


def test_a_frame_of_one_brightness_guides_nothing() -> None:
    random = torch.Generator().manual_seed(1)
    flow = torch.randn(2, 2, 12, 10, generator=random)
    found = smooth(flow, torch.ones(2, 1, 12, 10), torch.full((2, 1, 12, 10), 0.4), SIGMA)
    assert torch.allclose(found, blur(blur(flow, SIGMA), SIGMA), atol=1e-5)


def test_a_pixel_without_structure_takes_the_motion_around_it() -> None:
    weight = trust(torch.zeros(1, 1, 9, 9), 1e-3)
    weight[..., 4, 2] = trust(torch.tensor(1.0), 1e-3)  # one pixel has structure, and moves
    flow = torch.zeros(1, 2, 9, 9)
    flow[0, :, 4, 2] = 3.0
    found = smooth(flow, weight, torch.full((1, 1, 9, 9), 0.5), SIGMA)
    assert found[0, 0, 4, 3].item() > 2.0
    assert blur(flow, SIGMA)[0, 0, 4, 3].item() < 0.5


def test_the_trust_grows_with_structure() -> None:
    squares = torch.tensor([0.0, STRUCTURE * 1e-3, 1e6])
    assert trust(squares, 1e-3).tolist() == pytest.approx([LEAST_TRUST, LEAST_TRUST + 0.5, LEAST_TRUST + 1.0])


@pytest.mark.parametrize("search", ["fine", "latest", "coarse"])
def test_a_flat_thing_has_its_motion_from_edge_to_edge(search: str) -> None:
    """A white square of one brightness, wider than any window, before a dark picture with little texture."""
    random = torch.Generator().manual_seed(1)
    still = 0.15 + 0.03 * F.interpolate(torch.rand(1, 1, 20, 20, generator=random), size=(128, 128), mode="bicubic")
    frames, speed = [], 2
    for t in range(8):
        frame = still[0].clone()
        frame[:, 44:84, speed * t + 24 : speed * t + 64] = 0.9
        frames.append(frame)
    motion = estimate_motion(torch.stack(frames)[None], SEARCHES[search])
    left = speed * 7 + 24
    across = motion[0, 0, 58:70, left : left + 40].mean(dim=0)
    assert across.tolist() == pytest.approx([speed] * 40, rel=0.04)
