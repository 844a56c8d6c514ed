"""The memory that forecasting frames of one size takes."""

import functools
import math

import torch

from convlstm_cli.compute.meta import Allocated
from convlstm_cli.nn.config import NOISE_CARRIED, NOISE_PIXELS, ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster

GENEROUS = 30
"""Memory of a forecast over its frames and hidden states, at most: 1 to 21 was counted."""


def certain_memory(config: ForecasterConfig, height: int, width: int, input_frames: int, chunk: int) -> int:
    """Bytes that a forecast of frames of this size certainly does not exceed, states and a chunk together.

    Takes no time, where `inference_memory` takes a second or two.
    """
    of_step = height * width * (config.read_channels + sum(config.hidden) / config.patch_size**2)
    return math.ceil(GENEROUS * 4 * (input_frames + 2 * chunk) * of_step)


@functools.lru_cache(maxsize=256)
def inference_memory(
    config: ForecasterConfig, height: int, width: int, input_frames: int, chunk: int
) -> tuple[int, int]:
    """Bytes that are held from one chunk of frames to the next, and bytes that computing a chunk takes besides.

    Counted by running the network on torch's meta device, which computes shapes and allocates nothing. `height` and
    `width` are multiples of the patch size. The weights are not counted.
    """
    with torch.device("meta"), torch.no_grad():
        network = EncoderForecaster(config).eval()
        with Allocated() as allocated:
            frames = torch.empty(1, input_frames, config.read_channels, height, width)
            future = torch.empty(1, 2 * chunk, config.known, height, width) if config.known else None
            pieces = network.stream(frames, 2 * chunk, chunk=chunk, future=future)
            del frames
            next(pieces)
            held = allocated.now
            next(pieces)
    return held, allocated.peak - held


def members_that_fit(
    config: ForecasterConfig,
    size: tuple[int, int],
    frame: tuple[int, int],
    input_frames: int,
    chunk: int,
    *,
    most: int,
    memory: int,
) -> int:
    """How many members, from 1 to `most`, fit into `memory` bytes where a tile of `size` is forecast at a time.

    Each takes the memory of a forecast of its own, but for the encoder, and its noise and moved frame, which are of the
    whole `frame`. Both sizes are height and width in pixels, `size` in multiples of the patch size.
    """
    whole = 4 * math.prod(frame) * (config.channels + 4 + 2 * NOISE_CARRIED + NOISE_PIXELS)
    if most == 1 or most * (whole + certain_memory(config, *size, input_frames, chunk)) <= memory:
        return most  # without counting, which would take longer than most forecasts
    held, working = inference_memory(config, *size, input_frames, chunk)
    return max(1, min(most, memory // (whole + held + working)))
