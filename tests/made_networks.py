"""Networks that are made so that what an examination finds is known."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from convlstm_cli.comparing.anatomy.examination import examine
from convlstm_cli.compute.device import Compute
from convlstm_cli.nn import EncoderForecaster, ForecasterConfig
from convlstm_cli.nn.config import Peephole
from convlstm_cli.scoring.anatomy_result import Anatomy
from convlstm_cli.scoring.evaluation import evaluate_clips
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare

CPU = Compute(torch.device("cpu"), torch.float32)
MODEL = ForecasterConfig(32, 32, 1, hidden=(4,), forecaster="unconditioned", head="sigmoid", input_frames=4, horizon=3)
LAYERS = ("encoder 0", "forecaster 0")


def make_clips(folder: Path) -> ClipDataset:
    """12 clips of 7 frames, of a folder of three videos of 42 frames."""
    data = prepare(DataConfig((str(folder),), height=32, width=32), 4, 3)
    segments = [*data.split.train, *data.split.validation, *data.split.test]
    return ClipDataset(data.library, segments, 7, stride=11, channels=1)


def make(peephole: Peephole, seed: int = 0, **peepholes: float) -> EncoderForecaster:
    """A network whose peepholes to the named gates are drawn with this standard deviation; those to others are 0."""
    torch.manual_seed(seed)
    network = EncoderForecaster(replace(MODEL, peephole=peephole)).eval()
    layers = network.named_layers().values()
    with torch.no_grad():
        for layer in layers:  # first, so that they are the same with any peepholes
            assert layer.bias is not None
            layer.bias.normal_(std=2.0)
        for layer in layers:
            for gate, std in peepholes.items():
                getattr(layer, f"peephole_{gate}").normal_(std=std)
    return network


def dissect(
    networks: Mapping[str, Sequence[EncoderForecaster]],
    clips: ClipDataset,
    on_progress: Callable[[int, int], None] | None = None,
) -> Anatomy:
    """examine(), with the MSE of the intact networks."""
    intact = {arm: [intact_mse(network, clips) for network in seeds] for arm, seeds in networks.items()}
    loads = {arm: [lambda network=network: network for network in seeds] for arm, seeds in networks.items()}
    return examine(loads, clips, CPU, 5, intact, on_progress)


def intact_mse(network: EncoderForecaster, clips: ClipDataset) -> float:
    return evaluate_clips(network, clips, CPU, 5).model.mean_mse


def peephole(network: EncoderForecaster, layer: str, gate: str) -> Tensor:
    value = getattr(network.named_layers()[layer], f"peephole_{gate}")
    assert isinstance(value, Tensor)
    return value.detach()
