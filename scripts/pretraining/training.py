"""The training itself: from the last checkpoint to the end of its minutes."""

import json
import os
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file

from convlstm_cli import synthetic
from convlstm_cli.compute.versions import versions
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.training.initial import start
from pretraining.augmentation import augment
from pretraining.members_table import members_table
from pretraining.members_table import text as members_text
from pretraining.rings import Rings
from pretraining.settings import LENGTHS, Settings, Variant
from pretraining.stepping import Stepper
from pretraining.zero_shot import ZeroShot, text

WARM_UP = 200
"""Steps over which the learning rate rises."""
AHEAD = 4
"""Steps that are launched before their end is waited for: more would only make Ctrl-C and the clock late."""


@dataclass
class Progress:
    """How far a training is."""

    steps: int = 0
    seconds: float = 0.0
    clips: int = 0
    """Clips that were learned from, counted every time."""
    made: int = 0
    """Number of the next made-up clip."""


def pretrain(settings: Settings) -> None:
    """Trains until the minutes are over; saves weights, state, log and card of each variant in its folder."""
    device = _device(settings.device)
    if device.type == "cuda":
        torch.set_float32_matmul_precision("high")
    steppers = [_stepper(settings, variant, device) for variant in settings.variants]
    found = [_resume(settings.out / stepper.variant.name, stepper) for stepper in steppers]
    progress = found[0]
    if any(each != progress for each in found):
        raise SystemExit(f"{settings.out}: its variants are not equally far; train them apart, or into a new folder")
    zero_shot = ZeroShot(settings.evaluate, settings.channels) if settings.evaluate else None
    rings = Rings(settings, device, progress.made)
    try:
        _train(settings, steppers, progress, rings, zero_shot)
    finally:
        rings.close()
    _save(settings, steppers, progress)
    if zero_shot is not None:
        _report(settings, steppers, progress, zero_shot)


def _stepper(settings: Settings, variant: Variant, device: torch.device) -> Stepper:
    torch.manual_seed(settings.seed)
    network, average = (EncoderForecaster(_config(settings, variant)) for _ in range(2))
    if settings.init is not None:
        network.load_state_dict(start(str(settings.init), network.config).weights or {})
    average.load_state_dict(network.state_dict())
    for each in (network, average):
        each.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    (settings.out / variant.name).mkdir(parents=True, exist_ok=True)
    return Stepper(network, average.eval(), settings, variant)


def _train(
    settings: Settings, steppers: list[Stepper], progress: Progress, rings: Rings, zero_shot: ZeroShot | None
) -> None:
    device = steppers[0].tally.device
    generator = torch.Generator(device)
    limit = 60.0 * settings.minutes
    begun, before = time.monotonic(), progress.seconds
    saved = tabled = progress.seconds
    while progress.seconds < limit:
        rings.renew()
        # All that a step draws follows from its number, so that a training goes on with the draws that come next.
        random = np.random.default_rng([settings.seed, progress.steps])
        generator.manual_seed(int(random.integers(2**62)))
        size = settings.sizes[int(random.integers(len(settings.sizes)))]
        inputs, horizon = LENGTHS[int(random.integers(len(LENGTHS)))]
        count = max(1, round(settings.batch * 64 * 64 / (size[0] * size[1])))
        clips = augment(rings.draw(size, count, generator), inputs + horizon, random, generator)
        rate = rate_at(progress.seconds / limit, progress.steps, settings.hold)
        for stepper in steppers:
            stepper.step(clips, inputs, rate, progress.steps)
        progress.steps += 1
        progress.clips += count
        if progress.steps % AHEAD == 0:
            for stepper in steppers:
                stepper.finish()
        progress.seconds = before + time.monotonic() - begun
        if progress.steps % settings.log_every == 0:
            _log(settings, steppers, progress, rings)
        if progress.seconds - saved > 60 * settings.save_every:
            saved, progress.made = progress.seconds, rings.made
            _save(settings, steppers, progress)
        if zero_shot is not None and progress.seconds - tabled > 60 * settings.evaluate_every:
            paused = time.monotonic()
            _report(settings, steppers, progress, zero_shot)
            tabled, begun = progress.seconds, begun + time.monotonic() - paused
    progress.made = rings.made


def rate_at(elapsed: float, step: int, hold: float) -> float:
    """The share of the learning rate: rises over the first steps, stays, falls along a line to zero at the end."""
    return min(1.0, (step + 1) / WARM_UP) * min(1.0, max(0.0, (1.0 - elapsed) / (1.0 - hold)))


def _config(settings: Settings, variant: Variant) -> ForecasterConfig:
    height, width = settings.sizes[0]
    return ForecasterConfig(
        height=height,
        width=width,
        channels=settings.channels,
        hidden=variant.hidden,
        kernel_size=variant.kernel_size,
        patch_size=variant.patch_size,
        head=variant.head,  # type: ignore[arg-type]  # checked where it is made
        noise=variant.members > 0,
    )


def _device(name: str) -> torch.device:
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    return torch.device(name)


def _log(settings: Settings, steppers: list[Stepper], progress: Progress, rings: Rings) -> None:
    row = {
        "step": progress.steps,
        "minutes": round(progress.seconds / 60, 3),
        "clips_a_second": round(progress.clips / max(progress.seconds, 1e-9)),
        "clips_received": rings.received,
    }
    losses = {stepper.variant.name: stepper.mean_loss() for stepper in steppers}
    for name, loss in losses.items():
        with (settings.out / name / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row | {"loss": loss}) + "\n")
    shown = {f"loss {name}".strip(): round(loss, 6) for name, loss in losses.items()}
    print(json.dumps(row | shown), flush=True)


def _report(settings: Settings, steppers: list[Stepper], progress: Progress, zero_shot: ZeroShot) -> None:
    for stepper in steppers:
        stepper.finish()
        rows = zero_shot.table(stepper.average)
        folder = settings.out / stepper.variant.name
        print(f"{folder} after {progress.seconds / 60:.1f} minutes, {progress.steps} steps:", flush=True)
        print(text(rows), flush=True)
        card = _card(settings, stepper.variant, progress) | {"zero_shot": [asdict(row) for row in rows]}
        if stepper.variant.members:
            of_members = members_table(stepper.average, settings.evaluate)
            print(members_text(of_members), flush=True)
            card["members"] = [asdict(row) for row in of_members]
        _write(folder / "card.json", (json.dumps(card, indent=2) + "\n").encode())


def _card(settings: Settings, variant: Variant, progress: Progress) -> dict[str, Any]:
    """What the weights are and where they come from."""
    kept = asdict(settings) | asdict(variant)
    for places in ("out", "evaluate", "clips", "init", "variants", "name"):
        kept.pop(places)
    machine = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, {os.cpu_count()} cores"
    return {
        "model": asdict(_config(settings, variant)),
        "training": kept,
        "progress": asdict(progress),
        "generator": synthetic.VERSION,
        "machine": machine,
        "versions": versions(),
    }


def _save(settings: Settings, steppers: list[Stepper], progress: Progress) -> None:
    """Writes the averaged weights, the card, and the state to go on from, each beside and renamed over."""
    for stepper in steppers:
        stepper.finish()
        folder = settings.out / stepper.variant.name
        weights = {name: value.contiguous().cpu() for name, value in stepper.average.state_dict().items()}
        partial = folder / "model.partial"
        save_file(weights, partial)
        partial.replace(folder / "model.safetensors")
        state = {
            "network": stepper.network.state_dict(),
            "average": stepper.average.state_dict(),
            "optimizer": stepper.optimizer.state_dict(),
            "progress": asdict(progress),
        }
        partial = folder / "state.partial"
        torch.save(state, partial)
        partial.replace(folder / "state.pt")
        card = _card(settings, stepper.variant, progress)
        _write(folder / "card.json", (json.dumps(card, indent=2) + "\n").encode())


def _write(path: Path, content: bytes) -> None:
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def _resume(folder: Path, stepper: Stepper) -> Progress:
    """Takes the state that the last call left; gives how far it came."""
    path = folder / "state.pt"
    if not path.exists():
        return Progress()
    state = torch.load(path, map_location=stepper.tally.device, weights_only=True)
    stepper.network.load_state_dict(state["network"])
    stepper.average.load_state_dict(state["average"])
    stepper.load_optimizer(state["optimizer"])
    return Progress(**state["progress"])
