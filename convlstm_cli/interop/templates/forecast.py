"""Forecasts the next frames of a clip with the network in this folder.

    python forecast.py FRAMES.npy FORECAST.npy [HORIZON] [--range=LOW,HIGH]

FRAMES.npy holds frames of any size, (T, H, W) or (T, H, W, C). The last ones are read, as many as manifest.json says.
FORECAST.npy gets the frames that follow, (HORIZON, height, width, C), float32 at the network's size.

Where manifest.json has a range of values, frames are numbers of any type in its unit, and so is the forecast. Otherwise
frames are uint8, or floats in [0, 1], and the forecast is in [0, 1]; other numbers need --range. C = 3 is RGB. NaN, and
what manifest.json calls missing, has no value; the forecast is NaN where no frame that is read has one.

Takes NumPy, and ONNX Runtime or, where only torch was exported, PyTorch.
"""

import argparse
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).resolve().parent
Array = NDArray[Any]
Range = dict[str, Any]
"""The values `low` and `high` that are 0 and 1 for the network, and whether the map between is logarithmic, `log`.

Where channels are of different kinds, each has such a range in `bands`."""
PICTURES: Range = {"low": 0.0, "high": 255.0, "log": False}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("frames", type=Path)
    parser.add_argument("forecast", type=Path)
    parser.add_argument(
        "horizon", type=int, nargs="?", help="frames to forecast, any number; as in training if left out"
    )
    parser.add_argument(
        "--range", metavar="LOW,HIGH", help="values that are 0 and 1 for the network, where manifest.json has none"
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
    values = range_of(frames, manifest, asked.range)
    clip, unknowable = prepare(frames, values, manifest)
    shares = forecast(clip, horizon, manifest)[0].transpose(0, 2, 3, 1)
    made = shares if values == PICTURES else from_unit(shares, values)
    np.save(asked.forecast, np.where(unknowable, np.nan, made).astype(np.float32))


def range_of(frames: Array, manifest: dict[str, Any], asked: str | None = None) -> Range:
    """The range of the frames: that of the training, unless this was of pictures."""
    if manifest["frames"]["values"] is not None:
        if manifest["frames"]["values"].get("bands"):
            return dict(manifest["frames"]["values"])
        known = {name: manifest["frames"]["values"][name] for name in PICTURES}
        if known != PICTURES:
            return known
    if asked is not None:
        try:
            low, high = map(float, asked.split(","))
        except ValueError:
            raise SystemExit(f"--range is {asked}; give the least value and a larger one, such as 0,80") from None
        return {"low": low, "high": high, "log": False}
    if frames.dtype == np.uint8:
        return PICTURES
    if not (np.nanmin(frames) >= 0 and np.nanmax(frames) <= 1):
        raise SystemExit("frames must be uint8, or floats in [0, 1]; --range LOW,HIGH says what other numbers are")
    return {"low": 0.0, "high": 1.0, "log": False}


def prepare(frames: Array, values: Range, manifest: dict[str, Any]) -> tuple[Array, Array]:
    """The last frames of a clip, as the network takes them: (1, T, C, height, width), float32 in [0, 1].

    Channels that are read and not forecast come after the others, and then a mask, where the network reads one: the
    share of all these that have a value. Also gives where no frame has a value, (height, width, channels that are
    forecast).
    """
    _, count, channels, height, width = manifest["frames"]["shape"]
    masked = manifest["frames"]["mask_rule"] is not None
    channels -= masked
    if frames.ndim == 3:
        frames = frames[..., None]
    further = manifest["network"]["inputs"]  # channels that are read behind those that are forecast
    if further and (frames.ndim != 4 or frames.shape[3] != channels):
        raise SystemExit(
            f"frames have shape {frames.shape}; give (T, H, W, {channels}), the last {further} not forecast"
        )
    allowed = (1, 3) if channels in (1, 3) else (channels,)
    if frames.ndim != 4 or frames.shape[3] not in allowed or 0 in frames.shape:
        wanted = " or ".join(map(str, allowed))
        raise SystemExit(f"frames have shape {frames.shape}; give (T, H, W) or (T, H, W, C) with C = {wanted}")
    if len(frames) < count:
        raise SystemExit(f"there are {len(frames)} frames; the network reads {count}")
    missing, rounded = manifest["frames"]["missing"], frames.dtype.kind in "iub"
    pixels = frames[-count:].astype(np.float64)
    pixels[~np.isfinite(pixels)] = np.nan
    if missing is not None:
        pixels[frames[-count:] == missing] = np.nan
    if channels == 1 and pixels.shape[3] == 3:
        pixels = pixels @ np.array([0.299, 0.587, 0.114])[:, None]  # luminance, ITU-R BT.601
        pixels = np.rint(pixels) if rounded else pixels
    pixels = np.broadcast_to(pixels, (*pixels.shape[:3], channels))
    fitted = np.stack([fit(frame, height, width, manifest["frames"]["fit"]) for frame in pixels])
    fitted = np.rint(fitted) if rounded else fitted  # as in training
    ranges = values.get("bands") or [values] * (channels - further)
    ranges = [*ranges, *(guide["values"] for guide in manifest["frames"]["guides"])]
    full = filled(fitted, [each["low"] for each in ranges])
    shares = np.stack([to_unit(full[..., at], each) for at, each in enumerate(ranges)], axis=-1)
    whole = placed(shares, height, width)
    if masked:
        holes = np.isnan(fitted).mean(axis=3, keepdims=True)
        whole = np.concatenate((whole, 1.0 - placed(holes, height, width)), axis=3)
    unknowable = placed(np.isnan(fitted).all(axis=0, keepdims=True), height, width)[0, :, :, : channels - further]
    return whole.transpose(0, 3, 1, 2)[None].astype(np.float32), unknowable


def to_unit(values: Array, known: Range) -> Array:
    """Values in [0, 1]."""
    shares = ((values - known["low"]) / (known["high"] - known["low"])).clip(0, 1)
    return np.asarray(np.log1p(255 * shares) / np.log1p(255)) if known["log"] else shares


def from_unit(shares: Array, known: Range) -> Array:
    """The values of [0, 1], (..., C) with bands."""
    if bands := known.get("bands"):
        return np.stack([from_unit(shares[..., at], band) for at, band in enumerate(bands)], axis=-1)
    shares = np.expm1(shares.astype(np.float64) * np.log1p(255)) / 255 if known["log"] else shares.astype(np.float64)
    return np.asarray(shares * (known["high"] - known["low"]) + known["low"])


def fit(frame: Array, height: int, width: int, how: str) -> Array:
    """A frame (H, W, C) at the network's size, without padding; a pixel is NaN where most of what it is made of is.

    pad: as large as fits; crop: the centre, as large as fills it; stretch: each side by itself.
    """
    used, size = frame.shape[:2], (height, width)
    scales = height / used[0], width / used[1]
    if how == "pad":
        size = scaled(used, min(scales), size)
    elif how == "crop":
        used = scaled(size, 1 / max(scales), used)
    top, left = (frame.shape[0] - used[0]) // 2, (frame.shape[1] - used[1]) // 2
    content = frame[top : top + used[0], left : left + used[1]]
    rows, columns = weights(used[0], size[0]), weights(used[1], size[1])
    holes = np.isnan(content)
    resized = np.einsum("yh,hwc,xw->yxc", rows, nearest(content), columns, optimize=True)
    if holes.any():
        resized[np.einsum("yh,hwc,xw->yxc", rows, holes.astype(float), columns, optimize=True) > 0.5] = np.nan
    return np.asarray(resized)


def placed(frames: Array, height: int, width: int) -> Array:
    """Frames (T, h, w, C) in the centre of larger ones, with 0 around them."""
    whole = np.zeros((len(frames), height, width, frames.shape[3]), frames.dtype)
    top, left = (height - frames.shape[1]) // 2, (width - frames.shape[2]) // 2
    whole[:, top : top + frames.shape[1], left : left + frames.shape[2]] = frames
    return whole


def filled(frames: Array, least: Sequence[float]) -> Array:
    """Frames (T, H, W, C) with the nearest value in place of NaN: in space, else in time, else `least`, by channel."""
    frames = np.stack([nearest(frame) for frame in frames])
    for empty in np.argwhere(np.isnan(frames).all(axis=(1, 2))):
        frame, channel = empty
        there = np.flatnonzero(~np.isnan(frames[:, :, :, channel]).all(axis=(1, 2)))
        if len(there):
            frames[frame, :, :, channel] = frames[there[np.argmin(np.abs(there - frame))], :, :, channel]
    return np.asarray(np.where(np.isnan(frames), np.asarray(least), frames))


def nearest(frame: Array) -> Array:
    """A frame (H, W, C) with the nearest value of its channel in place of NaN, if it has any."""
    frame = frame.copy()
    for channel in range(frame.shape[2]):
        band = frame[:, :, channel]
        while np.isnan(band).any() and not np.isnan(band).all():  # values grow by a pixel to each side
            around = np.pad(band, 1, constant_values=np.nan)
            for side in (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:]):
                np.copyto(band, side, where=np.isnan(band))
    return frame


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

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "The given buffer is not writable")  # of PyTorch 2.11's own reading
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
