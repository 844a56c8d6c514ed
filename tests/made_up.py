"""A comparison made up for tests of what shows it: its summary, and clips."""

from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import torch
from helpers import moving_square
from torch import Tensor

from convlstm_cli.reporting.comparison_page import ComparedClip
from convlstm_cli.scoring.comparison_result import ComparisonSummary

PEEPHOLES = {"none": 0, "channel": 576, "full": 196_608}
LAYERS = ("encoder 0", "encoder 1", "forecaster 0", "forecaster 1")
QUANTILES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)


def made_up_summary(
    arms: Sequence[str] = tuple(PEEPHOLES),
    seeds: int = 3,
    leads: int = 10,
    videos: int = 9,
    intervals: bool = True,
    **changes: Any,
) -> ComparisonSummary:
    """A summary of arms of which the first is the reference and each later one is a little better.

    `intervals` false is what a single seed on a single video gives: none anywhere. `changes` are other values of single
    fields.
    """
    rng = np.random.default_rng(0)
    quality = {name: 1.0 - 0.03 * position for position, name in enumerate(arms)}
    kinds = dict(zip(arms, [*PEEPHOLES, *["full"] * len(arms)], strict=False))
    summary = {
        "folder": "runs/compare-digits-1",
        "kind": "trained",
        "reference": arms[0],
        "seeds": list(range(seeds)),
        "match": "steps",
        "input_frames": 10,
        "horizon": leads,
        "height": 64,
        "width": 64,
        "channels": 1,
        "videos": [
            {"video": f"digits/{n:03d}", "path": f"/videos/digits/{n:03d}.mkv", "clips": 2} for n in range(videos)
        ],
        "clips": 2 * videos,
        "arms": [
            {
                "name": name,
                "peephole": kinds[name],
                "hidden": [32, 32],
                "differs": {"peephole": kinds[name]},
                "parameters": 241_168 + PEEPHOLES[kinds[name]],
                "steps": 300,
                "step_seconds": 0.21 if intervals else None,
                "memory": 123_456_789,
                "runs": [_run(name, seed, quality[name], rng) for seed in range(seeds)],
                "scores": _scores(0.012 * quality[name], leads),
                "intervals": _score_intervals(0.012 * quality[name], leads) if intervals else None,
            }
            for name in arms
        ],
        "baselines": {
            "persistence": _scores(0.035, leads),
            "linear_trend": _scores(0.05, leads),
            "optical_flow": _scores(0.02, leads),
        },
        "differences": {
            name: _difference(quality[name] - 1.0, seeds, leads, videos, intervals) for name in list(arms)[1:]
        },
        "verdict": [
            f"On these videos {arms[-1]} is better than {arms[0]}: 6.0 % lower MSE (95 %: 3.5 to 8.5 %).",
            f"{arms[1]} cannot be told from {arms[0]}: the interval of the difference holds 0.",
            f"{seeds} seeds and {videos} test videos; about 9 seeds would settle a difference of this size.",
        ],
        "anatomy": _anatomy([name for name in arms if kinds[name] != "none"], list(arms), kinds, seeds, rng),
        "warnings": ["With 3 seeds the interval is wide, and a difference below 4 % would hardly be seen."],
        "settings": {
            "data": {"folders": ["/videos/digits"], "height": 64, "width": 64, "fit": "pad"},
            "model": {"hidden": [32, 32], "kernel_size": 3, "forecaster": "conditioned"},
            "training": {"batch_size": 8, "learning_rate": 0.001, "max_steps": 300},
            "compare": {"arms": list(arms), "seeds": seeds, "match": "steps"},
        },
        "compute": {"device": "cpu", "precision": "fp32"},
        "versions": {"convlstm": "0.1.0", "torch": "2.13.0"},
        "definitions": {"mse": "squared error, mean over clips, channels and pixels", "closed": "below 0.1"},
    }
    return msgspec.convert(summary | changes, ComparisonSummary)


def made_up_clip(
    video: str = "digits/001", arms: Sequence[str] = tuple(PEEPHOLES), leads: int = 10, channels: int = 1
) -> ComparedClip:
    """A moving square of 64x64 pixels, and blurred or displaced forecasts of it."""
    square = torch.from_numpy(moving_square(10 + leads, seed=len(video), size=64, channels=channels))
    frames = square.permute(0, 3, 1, 2).float() / 255
    seen, truth = frames.tensor_split([10])
    rows: dict[str, Tensor] = {
        "input": seen,
        "truth": truth,
        "persistence": seen[-1:].expand_as(truth),
        "optical_flow": truth.roll(1, dims=-1),
    }
    for strength, name in enumerate(reversed(arms), start=1):
        rows[name] = torch.nn.functional.avg_pool2d(truth, 2 * strength + 1, 1, strength)
    return ComparedClip(video, 11, rows)


def _growing(level: float, leads: int) -> list[float]:
    """Errors that grow with the lead time, about their mean `level`."""
    return [2 * level * (lead + 1) / (leads + 1) for lead in range(leads)]


def _scores(level: float, leads: int) -> dict[str, Any]:
    mse = _growing(level, leads)
    by_lead: dict[str, list[float | None]] = {
        "mse": [*mse],
        "mse_sum": [4096 * value for value in mse],
        "mae": [value**0.5 / 2 for value in mse],
        "mae_sum": [2048 * value**0.5 for value in mse],
        "psnr": [-10 * float(np.log10(value)) for value in mse],
        "ssim": [1 - 12 * value for value in mse],
        "sharpness": [1 - 10 * value for value in mse],
    }
    return {
        "clips": 18,
        "by_lead_time": by_lead,
        "mean": {name: float(np.mean([v for v in values if v is not None])) for name, values in by_lead.items()},
    }


def _score_intervals(level: float, leads: int) -> dict[str, Any]:
    mse = _growing(level, leads)
    return {
        "mse": [[0.9 * value, 1.1 * value] for value in mse],
        "ssim": [[1 - 13 * value, 1 - 11 * value] for value in mse],
    }


def _run(name: str, seed: int, quality: float, rng: np.random.Generator) -> dict[str, Any]:
    noise = rng.normal(1.0, 0.05, 10)
    history = [
        {
            "epoch": epoch,
            "steps": 30 * epoch,
            "train_loss": 0.5 / epoch,
            "validation_mse": quality * float(0.012 + 0.08 / epoch**1.5 * noise[epoch - 1]),
        }
        for epoch in range(1, 11)
    ]
    return {
        "seed": seed,
        "pair": seed,
        "folder": f"seed-{seed}/{name}",
        "best_epoch": 10,
        "steps": 300,
        "seconds": 61.2,
        "mse": 0.012 * quality * float(noise[0]),
        "history": history,
    }


def _difference(relative: float, seeds: int, leads: int, videos: int, intervals: bool) -> dict[str, Any]:
    width = 0.04 if relative > -0.05 else 0.025

    def entry(share: float, half: float) -> dict[str, Any]:
        return {
            "mean": 0.012 * share,
            "relative": share,
            "interval": [0.012 * (share - half), 0.012 * (share + half)] if intervals else None,
            "relative_interval": [share - half, share + half] if intervals else None,
            "p": 0.0004 if share + half < 0 else 0.13,
            "p_holm": 0.0008 if share + half < 0 else 0.26,
            "outcome": "better" if share + half < 0 else "undetectable",
        }

    return {
        **entry(relative, width),
        "effect_size": relative / width if intervals else None,
        "seeds_better": seeds - 1,
        "seeds": seeds,
        "videos": videos,
        "seeds_needed": 9 if intervals else None,
        "interval_of_these_trainings": [relative - width / 2, relative + width / 2] if intervals else None,
        "by_lead_time": [entry(relative * 2 * (lead + 1) / (leads + 1), width) for lead in range(leads)],
    }


def _anatomy(
    peepholed: list[str], arms: list[str], kinds: dict[str, str], seeds: int, rng: np.random.Generator
) -> dict[str, Any]:
    rows, columns = np.mgrid[0:16, 0:16] / 7.5 - 1
    peepholes = []
    for arm in peepholed:
        for depth, layer in enumerate(LAYERS):
            for shift, gate in zip((-0.05, 0.12, 0.05), "ifo", strict=True):
                weights = rng.normal(shift, 0.06 + 0.03 * depth, 500)
                counts, edges = np.histogram(weights, bins=20, range=(-0.6, 0.6))
                ring = shift + 0.15 * np.cos(3 * np.hypot(rows, columns)) + rng.normal(0, 0.02, (16, 16))
                peepholes.append(
                    {
                        "arm": arm,
                        "layer": layer,
                        "gate": gate,
                        "mean": float(weights.mean()),
                        "std": float(weights.std()),
                        "rms": float(np.sqrt(np.square(weights).mean())),
                        "initial_rms": 0.0,
                        "quantiles": {f"{share:g}": float(np.quantile(weights, share)) for share in QUANTILES},
                        "histogram": {"edges": edges.tolist(), "counts": counts.tolist()},
                        "map": ring.tolist() if kinds[arm] == "full" else None,
                    }
                )
    return {
        "saturation": [
            {
                "arm": arm,
                "layer": layer,
                "gate": gate,
                "closed": 0.05 + 0.03 * position + 0.02 * depth,
                "open": 0.1 + 0.06 * position + 0.03 * depth * (gate == "f"),
                "mean": 0.5,
            }
            for position, arm in enumerate(arms)
            for depth, layer in enumerate(LAYERS)
            for gate in "ifo"
        ],
        "saturation_clips": 18,
        "peepholes": peepholes,
        "knock_out": [
            {
                "arm": arm,
                "gate": gate,
                "mse": 0.012 * (1 + rise),
                "relative": rise,
                "by_seed": (rise * rng.normal(1.0, 0.3, seeds)).tolist(),
            }
            for arm in peepholed
            for gate, rise in (("i", 0.02), ("f", 0.09), ("o", -0.004), ("all", 0.15))
        ],
        "closed_below": 0.1,
        "open_above": 0.9,
        "conclusions": ["W_cf is used most."] if peepholed else [],
    }
