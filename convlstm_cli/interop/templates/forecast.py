"""Forecasts the next frames of a clip with the network in this folder.

    python forecast.py FRAMES.npy FORECAST.npy [HORIZON]

FRAMES.npy holds frames of any size, (T, H, W) or (T, H, W, C) with C = 1 (grey) or 3 (RGB): uint8, or floats in [0, 1].
The last of them are read, as many as manifest.json says. FORECAST.npy gets the frames that follow,
(HORIZON, height, width, C), float32 in [0, 1], at the network's size.

Takes NumPy, and ONNX Runtime or, where only torch was exported, PyTorch.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent
Array = NDArray[Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("forecast", type=Path)
    parser.add_argument(
        "horizon", type=int, nargs="?", help="frames to forecast, any number; as in training if left out"
    )
    asked = parser.parse_args()
    manifest = json.loads((FOLDER / "manifest.json").read_text(encoding="utf-8"))
    horizon = manifest["horizon"]["trained"] if asked.horizon is None else asked.horizon
    if horizon < 1:
        parser.error("HORIZON must be at least 1")
    try:
        frames = np.load(asked.frames, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise SystemExit(f"{asked.frames}: cannot be read ({error})") from error
    clip = prepare(frames, manifest)
    np.save(asked.forecast, forecast(clip, horizon, manifest)[0].transpose(0, 2, 3, 1))


def prepare(frames: Array, manifest: dict[str, Any]) -> Array:
    """The last frames of a clip, as the network takes them: (1, T, C, height, width), float32 in [0, 1]."""
    _, count, channels, height, width = manifest["frames"]["shape"]
    if frames.ndim == 3:
        frames = frames[..., None]
    if frames.ndim != 4 or frames.shape[3] not in (1, 3) or 0 in frames.shape:
        raise SystemExit(f"frames have shape {frames.shape}; give (T, H, W) or (T, H, W, C) with C = 1 or 3")
    if len(frames) < count:
        raise SystemExit(f"there are {len(frames)} frames; the network reads {count}")
    if frames.dtype != np.uint8 and not (frames.min() >= 0 and frames.max() <= 1):
        raise SystemExit("frames must be uint8, or floats in [0, 1]")
    pixels = frames[-count:].astype(np.float64) / (255 if frames.dtype == np.uint8 else 1)
    if channels == 1 and pixels.shape[3] == 3:
        pixels = pixels @ np.array([0.299, 0.587, 0.114])[:, None]  # luminance, ITU-R BT.601
    pixels = np.broadcast_to(pixels, (*pixels.shape[:3], channels))
    fitted = np.stack([fit(frame, height, width, manifest["frames"]["fit"]) for frame in pixels])
    return fitted.transpose(0, 3, 1, 2)[None].astype(np.float32)


def fit(frame: Array, height: int, width: int, how: str) -> Array:
    """A frame (H, W, C) at the network's size.

    pad: as large as fits, centred, with black around it; crop: the centre, as large as fills it; stretch: each side.
    """
    used, filled = frame.shape[:2], (height, width)
    scales = height / used[0], width / used[1]
    if how == "pad":
        filled = scaled(used, min(scales), filled)
    elif how == "crop":
        used = scaled(filled, 1 / max(scales), used)
    top, left = (frame.shape[0] - used[0]) // 2, (frame.shape[1] - used[1]) // 2
    content = frame[top : top + used[0], left : left + used[1]]
    content = np.einsum("yh,hwc,xw->yxc", weights(used[0], filled[0]), content, weights(used[1], filled[1]))
    whole = np.zeros((height, width, frame.shape[2]))
    top, left = (height - filled[0]) // 2, (width - filled[1]) // 2
    whole[top : top + filled[0], left : left + filled[1]] = content.clip(0, 1)
    return np.rint(whole * 255) / 255  # training had 8 bits


def scaled(size: tuple[int, ...], scale: float, most: tuple[int, ...]) -> tuple[int, int]:
    height, width = (min(max(1, round(side * scale)), limit) for side, limit in zip(size, most, strict=True))
    return height, width


def weights(old: int, new: int) -> Array:
    """What each of `old` pixels gives to each of `new` along one side, (new, old).

    By area where the side shrinks, and by cubic interpolation (a = -0.75) where it grows: OpenCV's INTER_AREA and
    INTER_CUBIC.
    """
    if new == old:
        return np.eye(old)
    if new < old:
        edges = np.arange(new + 1) * (old / new)
        pixels = np.arange(old)
        shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
        return np.asarray(np.maximum(shared, 0) * (new / old))
    centres = (np.arange(new) + 0.5) * (old / new) - 0.5
    first = np.floor(centres).astype(int) - 1
    table = np.zeros((new, old))
    for offset in range(4):
        x = np.abs(centres - (first + offset))
        near, far = 1.25 * x**3 - 2.25 * x**2 + 1, -0.75 * (x**3 - 5 * x**2 + 8 * x - 4)
        np.add.at(table, (np.arange(new), (first + offset).clip(0, old - 1)), np.where(x <= 1, near, far))
    return table


def forecast(frames: Array, horizon: int, manifest: dict[str, Any]) -> Array:
    """The next frames (B, horizon, C, height, width) of clips (B, T, C, height, width), float32 in [0, 1]."""
    if "onnx" in manifest:
        return forecast_by_onnx(frames, horizon, manifest["onnx"]["file"])
    return forecast_by_torch(frames, horizon, manifest["torch"]["files"])


def forecast_by_onnx(frames: Array, horizon: int, file: str) -> Array:
    import onnxruntime

    session = onnxruntime.InferenceSession(FOLDER / file, providers=onnxruntime.get_available_providers())
    [frames] = session.run(None, {"frames": frames, "horizon": np.array(horizon, np.int64)})
    return frames


def forecast_by_torch(frames: Array, horizon: int, files: dict[str, str]) -> Array:
    import torch

    start, read, step = (torch.export.load(FOLDER / files[name]).module() for name in ("start", "read", "step"))
    clip = torch.from_numpy(frames)
    state = start(clip)
    for frame in clip.unbind(dim=1):
        state = read(frame, *state)
    forecast = []
    for _ in range(horizon):
        frame, *state = step(*state)
        forecast.append(frame)
    return torch.stack(forecast, dim=1).detach().numpy()


if __name__ == "__main__":
    main()
