"""Times training steps and forecasts of small networks: a plain loop, ours launched one by one, and ours captured.

The default network learns and forecasts as `convlstm train` and `predict` do it, beside a plain encoder-forecaster of
the same width with Adam; shapes a, b and c of `benchmark_speed.py` are layers without an optimiser. A round takes each
system once, in turn; the figures are medians over rounds, by CUDA events on a GPU. At the end `convlstm train` itself
runs for a while, and the time of its captured step over the time between two of its steps is how busy the GPU is.

    python -m gpu_check.launches --device cuda -o rows.jsonl
"""

import argparse
import json
import logging
import os
import statistics
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from bench.plain import PlainCell, State
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.graphs import LOG, SWITCH, WARM_UPS, Captured
from convlstm_cli.forecasting.inference import forecast_clip
from convlstm_cli.nn import ConvLSTM, EncoderForecaster, ForecasterConfig
from convlstm_cli.train import train
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.training.step import TrainStep
from convlstm_cli.video.config import DataConfig
from convlstm_cli.video.data import prepare
from gpu_check.layers import Call
from gpu_check.run import ROOT
from moving_mnist.systems import PlainForecaster
from speed.shapes import SHAPES, Layer, Shape, tiny
from speed.timing import seconds_of
from speed.torch_systems import Network, Unrolled

BATCH, LARGER = 8, 32
"""Clips of a batch: the issue's, and what `--batch-size auto` takes on a GPU."""
Systems = Mapping[str, Call]
"""One call for each of `plain`, `launched` and `captured`."""


class Log(logging.Handler):
    """Collects what forecasts log that could not be captured, and prints where anything could not."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []
        LOG.addHandler(self)
        LOG.setLevel(logging.DEBUG)

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            traceback.print_exception(record.exc_info[1])
        else:
            self.notes.append(record.getMessage())


class OurLayer(ConvLSTM):
    """`ConvLSTM` as the networks of `benchmark_speed.py` call layers."""

    def forward(  # type: ignore[override]
        self, x: Tensor | None, state: State | None, steps: int
    ) -> tuple[Tensor, State]:
        return cast(tuple[Tensor, State], super().forward(x, state, steps=steps if x is None else None))


def of_layers(shape: Shape, compute: Compute, notes: list[str]) -> dict[str, Systems]:
    """Forward and backward, and forward alone, of the layers of a shape."""

    def plain(layer: Layer, shape: Shape) -> nn.Module:
        return Unrolled(PlainCell(layer.fan_in, layer.hidden, shape.kernel), layer.hidden)

    def ours(layer: Layer, shape: Shape) -> nn.Module:
        return OurLayer(layer.fan_in, layer.hidden, shape.kernel, peephole="none")

    one, other = (Network(make, shape, inputs=False).to(compute.device) for make in (plain, ours))
    train_plain, train_ours = (_learning(network, compute) for network in (one, other))
    infer_plain, infer_ours = (_forecasting(network, compute) for network in (one, other))
    return {
        "train": _three(train_plain, train_ours, compute, notes),
        "infer": _three(infer_plain, infer_ours, compute, notes),
    }


def _learning(network: nn.Module, compute: Compute) -> Callable[[Tensor], Tensor]:
    def learn(x: Tensor) -> Tensor:
        network.zero_grad()
        with compute.autocast():
            loss: Tensor = network(x).float().square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return learn


def _forecasting(network: nn.Module, compute: Compute) -> Callable[[Tensor], Tensor]:
    def forecast(x: Tensor) -> Tensor:
        with torch.no_grad(), compute.autocast():
            outputs: Tensor = network(x)
            return outputs

    return forecast


def _three(
    plain: Callable[[Tensor], Tensor], ours: Callable[[Tensor], Tensor], compute: Compute, notes: list[str]
) -> Systems:
    captured = Captured(ours, compute.device, note=notes.append)
    return {
        "plain": plain,
        "launched": ours,
        "captured": lambda x: captured([x]),
    }


def of_network(model: ForecasterConfig, compute: Compute, notes: list[str]) -> dict[str, Systems]:
    """Whole training steps, with the optimiser, and forecasts of clips (B, T, C, H, W)."""
    plain = PlainForecaster(model, "sigmoid").to(compute.device)
    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-3)

    def learn(clips: Tensor) -> None:
        frames, truth = clips.tensor_split([model.input_frames], dim=1)
        optimizer.zero_grad()
        with compute.autocast():
            forecast = plain(frames)
        F.mse_loss(forecast.float(), truth).backward()  # type: ignore[no-untyped-call]
        optimizer.step()

    def infer(clips: Tensor) -> None:
        with torch.inference_mode(), compute.autocast():
            plain(clips[:, : model.input_frames])

    trained: dict[str, Call] = {"plain": learn}
    forecast: dict[str, Call] = {"plain": infer}
    for name, switch in (("launched", "off"), ("captured", "on")):
        os.environ[SWITCH] = switch
        step = TrainStep(model, TrainConfig(init="none"), compute, None, note=notes.append)
        trained[name] = _switched(switch, step)
        forecast[name] = _switched(switch, _ours(EncoderForecaster(model).to(compute.device), compute))
    return {"train": trained, "infer": forecast}


def _ours(network: EncoderForecaster, compute: Compute) -> Call:
    model = network.config
    return lambda clips: forecast_clip(network, clips[:, : model.input_frames], model.horizon, compute)


def _switched(switch: str, call: Call) -> Call:
    def with_switch(clips: Tensor) -> None:
        os.environ[SWITCH] = switch
        call(clips)

    return with_switch


def measure(systems: Systems, inputs: list[Tensor], rounds: int) -> dict[str, float]:
    """Medians in ms."""
    for call in systems.values():
        for number in range(WARM_UPS + 2):
            call(inputs[number % len(inputs)])
    times: dict[str, list[float]] = {name: [] for name in systems}
    for number in range(rounds):
        for name, call in systems.items():
            x = inputs[number % len(inputs)]
            times[name].append(seconds_of(partial(call, x), x.device))
    return {name: 1e3 * statistics.median(each) for name, each in times.items()}


def rows(compute: Compute, *, quick: bool, rounds: int) -> Iterator[dict[str, Any]]:
    """The rows of all shapes in one precision."""
    model = (
        ForecasterConfig(32, 32, 1, hidden=(4,), input_frames=3, horizon=2) if quick else ForecasterConfig(64, 64, 1)
    )
    cases: list[tuple[str, tuple[int, ...], Callable[[list[str]], dict[str, Systems]]]] = []
    for batch in (2,) if quick else (BATCH, LARGER):
        clips = batch, model.clip_frames, model.channels, model.height, model.width
        cases.append((f"default network, batch {batch}", clips, partial(of_network, model, compute)))
    for shape in SHAPES.values():
        own = tiny(shape) if quick else replace(shape, batch=BATCH)
        x = own.batch, own.steps, own.channels, own.size, own.size
        cases.append((f"({own.name}), batch {own.batch}", x, partial(of_layers, own, compute)))
    log = Log()
    for name, size, make in cases:
        torch.manual_seed(0)
        # Drawn on the CPU, since CUDA draws nothing more after a capture that failed.
        inputs = [torch.rand(size).to(compute.device) for _ in range(3)]
        log.notes.clear()
        for mode, systems in make(log.notes).items():
            ms = measure(systems, inputs, rounds)
            yield {"shape": name, "precision": compute.precision, "mode": mode, "ms": ms, "notes": log.notes[:1]}


def busy(compute: Compute, *, quick: bool) -> dict[str, Any]:
    """How much of the time between two steps of a training on `sample_data` its captured step takes."""
    os.environ[SWITCH] = "on"
    side, steps, batch = (32, 6, 2) if quick else (64, 150, LARGER)
    data = prepare(DataConfig((str(ROOT / "sample_data"),), height=side, width=side), 10, 10)
    model = ForecasterConfig(side, side, data.channels, hidden=(4,) if quick else ForecasterConfig.hidden)
    config = TrainConfig(
        max_steps=steps, epoch_steps=steps, batch_size=batch, device=str(compute.device), precision="fp32", init="none"
    )
    with tempfile.TemporaryDirectory() as folder:
        result = train(data, model, config, Path(folder) / "run")
    step = TrainStep(model, config, compute, None)
    clips = torch.rand(batch, model.clip_frames, model.channels, side, side).to(compute.device)
    alone = measure({"captured": step}, [clips], 10)["captured"]
    between = 1e3 * (result.step_seconds or 0.0)
    return {"mode": "busy", "shape": f"train, batch {batch}", "alone_ms": alone, "between_ms": between}


def main() -> None:
    """Measures all shapes and writes a row as soon as it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--quick", action="store_true", help="everything tiny")
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("-o", "--output", type=Path, required=True, help="file of rows, one JSON object a line")
    arguments = parser.parse_args()
    device = torch.device(arguments.device, 0) if arguments.device == "cuda" else torch.device(arguments.device)
    with arguments.output.open("w", encoding="utf-8") as file:

        def write(row: dict[str, Any]) -> None:
            file.write(json.dumps(row) + "\n")
            file.flush()
            print(json.dumps(row), flush=True)

        for dtype in (torch.float32, torch.bfloat16):
            rounds = 2 if arguments.quick else arguments.rounds
            for row in rows(Compute(device, dtype), quick=arguments.quick, rounds=rounds):
                write(row)
        write(busy(Compute(device, torch.float32), quick=arguments.quick))


if __name__ == "__main__":
    main()
