"""Scores of trained systems on the test sequences, and their summary."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from convlstm_cli.errors import Interrupted, RunError
from convlstm_cli.files import replacing
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.formulae import finite, psnr
from convlstm_cli.scoring.scores import score
from moving_mnist.sequences import CANVAS
from moving_mnist.training import CHUNK, SPEAK_EVERY, Clips, Say, ShouldStop

COPY = "copying the last frame"
Forecast = Callable[[Tensor], Tensor]
Rows = dict[str, npt.NDArray[np.float64]]
"""`mse`, `mae`, `ssim`: (sequences, horizon), means over pixels; `cross_entropy`: (sequences,), sums."""

PIXELS = CANVAS * CANVAS
NEAREST = 1e-3
"""Forecasts are clipped to this distance from 0 and 1 for the cross-entropy, which a wrong 0 would make infinite."""
RESAMPLES = 2000


def copying(horizon: int) -> Forecast:
    """The persistence forecast, which repeats the last frame."""
    return lambda frames: BASELINES["persistence"].forecast(frames, horizon)


def test(
    name: str, forecast: Forecast, source: Clips, count: int, folder: Path, should_stop: ShouldStop, say: Say
) -> Rows:
    """Scores of the first `count` test sequences; scores that an earlier call saved are reused.

    Raises Interrupted, after saving, when `should_stop` returns True.
    """
    path = _path(folder, name)
    rows = _load(path)
    spoke = time.monotonic()
    while (done := len(rows["cross_entropy"]) if rows else 0) < count:
        chunk = done // CHUNK
        first = chunk * CHUNK
        frames, truth = source.test(chunk)[: count - first].tensor_split([source.input_frames], dim=1)
        new = _rows(forecast(frames), truth)
        rows = {key: np.concatenate((rows[key][:first], values)) for key, values in new.items()} if rows else new
        if should_stop():
            _save(path, rows)
            raise Interrupted(f"{name}: saved after {len(rows['cross_entropy'])} of {count} test sequences")
        if time.monotonic() - spoke > SPEAK_EVERY:
            say(f"{name}: {len(rows['cross_entropy'])} of {count} test sequences")
            spoke = time.monotonic()
    _save(path, rows)
    return {key: values[:count] for key, values in rows.items()}


def forget(folder: Path, name: str) -> None:
    """Deletes the saved scores of a system, because its training continues."""
    _path(folder, name).unlink(missing_ok=True)


def summary(rows: Rows) -> dict[str, Any]:
    """Means over sequences, as JSON holds them; MSE and MAE are summed over the pixels of a frame."""
    by_lead = {key: rows[key].mean(axis=0) for key in ("mse", "mae", "ssim")}
    return {
        "mse": float(by_lead["mse"].mean() * PIXELS),
        "mae": float(by_lead["mae"].mean() * PIXELS),
        "ssim": float(by_lead["ssim"].mean()),
        "psnr": finite(psnr(float(by_lead["mse"].mean()))),
        "cross_entropy": float(rows["cross_entropy"].mean()),
        "mse_by_lead_time": (by_lead["mse"] * PIXELS).tolist(),
        "mse_interval": list(_interval(rows["mse"].mean(axis=1) * PIXELS)),
    }


def ratio(ours: Rows, theirs: Rows) -> dict[str, float]:
    """Our MSE over theirs, with the 95 % interval of a paired bootstrap over sequences."""
    a, b = ours["mse"].mean(axis=1), theirs["mse"].mean(axis=1)
    low, high = _interval(a, b)
    return {"ratio": float(a.mean() / b.mean()), "low": low, "high": high}


def _interval(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64] | None = None) -> tuple[float, float]:
    """The bootstrap interval of the mean of `a`, or of its ratio to the mean of `b`."""
    random = np.random.default_rng(0)
    found = []
    for _ in range(RESAMPLES):
        drawn = random.integers(len(a), size=len(a))
        found.append(a[drawn].mean() / (1.0 if b is None else b[drawn].mean()))
    low, high = np.quantile(found, (0.025, 0.975)).tolist()
    return low, high


def _rows(forecast: Tensor, truth: Tensor) -> Rows:
    scores = [score(f[None], t[None]) for f, t in zip(forecast, truth, strict=True)]
    sure = forecast.clamp(NEAREST, 1.0 - NEAREST)
    entropy = torch.nn.functional.binary_cross_entropy(sure, truth, reduction="none").sum(dim=(1, 2, 3, 4))
    return {
        **{metric: np.array([s.by_lead_time(metric) for s in scores]) for metric in ("mse", "mae", "ssim")},
        "cross_entropy": entropy.cpu().double().numpy(),
    }


def _path(folder: Path, name: str) -> Path:
    return folder / f"{name.split()[0]}-test.npz"


def _load(path: Path) -> Rows:
    if not path.exists():
        return {}
    try:
        with np.load(path) as saved:
            return dict(saved)
    except (OSError, ValueError, KeyError) as error:
        raise RunError(f"{path}: cannot be read ({error}); delete it to repeat the test.") from error


def _save(path: Path, rows: Mapping[str, npt.NDArray[np.float64]]) -> None:
    arrays: dict[str, Any] = dict(rows)
    with replacing(path) as partial:
        np.savez(partial, **arrays)
