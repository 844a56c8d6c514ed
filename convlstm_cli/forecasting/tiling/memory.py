"""The memory that forecasting frames of one size takes."""

import functools

import torch

from convlstm_cli.compute.meta import Allocated
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster


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
            frames = torch.empty(1, input_frames, config.channels, height, width)
            pieces = network.stream(frames, 2 * chunk, chunk=chunk)
            del frames
            next(pieces)
            held = allocated.now
            next(pieces)
    return held, allocated.peak - held
