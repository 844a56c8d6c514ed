"""A trained network for those who do not have this package: a folder with all that one needs to run it.

manifest.json                       inputs, outputs, how frames are fitted, versions, and how exact the programs are
forecaster.onnx                     frames and a horizon in, forecast out (with forecaster.onnx.data if it is large)
start.pt2, read.pt2, step.pt2       the same for torch.export; the loops over frames and lead times are the caller's
forecast.py                         an example that needs no more than NumPy and a runtime
README.md                           for whoever receives the folder
"""

import importlib.resources
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from jinja2 import Environment, PackageLoader
from torch import Tensor

from convlstm_cli.compute.distributed import check_one_process
from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import OutputError
from convlstm_cli.files import check_absent, creating_folder, numbered
from convlstm_cli.interop import onnx_file
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.nn.exportable import record_parts, run_parts
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run

MANIFEST = "manifest.json"
FORMAT_VERSION = 1
"""Of the manifest; goes up when something that is there changes its meaning."""
TOLERANCE = 1e-4
"""Largest difference of a pixel in [0, 1] between an exported program and the network."""
FITS = {
    "pad": "the frame keeps its aspect, is as large as fits, and is centred, with black (0) around it.",
    "crop": "the frame keeps its aspect, and its centre fills the whole; what sticks out is cut away.",
    "stretch": "each side is scaled by itself, so the aspect may change.",
}
RESIZE = (
    "A side that shrinks is averaged by area, one that grows interpolated by cubics (OpenCV's INTER_AREA and "
    "INTER_CUBIC), and the result rounded to 8 bits. Sizes are rounded to the nearest pixel, and an odd pixel of "
    "padding or cropping goes to the bottom or right."
)


@dataclass(frozen=True)
class Export:
    """An exported network, on disk."""

    folder: Path
    files: dict[str, int]
    """Name and bytes of each file."""
    differences: dict[str, float | None]
    """For each format, the largest difference from the network; None where there is nothing to run it with."""


def export(run: Run, folder: Path, config: ExportConfig | None = None, progress: Progress | None = None) -> Export:
    """Writes the network of a run into a new folder, whole or not at all, and checks that it forecasts the same.

    Raises:
        UsageError: several processes.
        RunError: a run without usable weights.
        DependencyError: a library for a format that is missing.
        OutputError: something is at `folder`, it cannot be written, or what was written forecasts something else.
    """
    check_one_process("export")
    config, progress = config or ExportConfig(), progress or Progress()
    check_absent(folder)
    if "onnx" in config.formats:
        onnx_file.check_installed()
    network = run.load_model(torch.device("cpu"))
    with creating_folder(folder) as partial:
        manifest = _describe(run, network)
        differences: dict[str, float | None] = {}
        if "torch" in config.formats:
            progress.note("recording the network for torch.export")
            manifest["torch"] = _write_torch(network, partial)
            differences["torch"] = _difference(network, partial, manifest["torch"]["files"])
        if "onnx" in config.formats:
            progress.note("translating the network to ONNX, which takes a while")
            manifest["onnx"] = _write_onnx(network, partial)
            differences["onnx"] = None
            if onnx_file.has_runtime():
                differences["onnx"] = _difference(network, partial, manifest["onnx"]["file"])
            else:
                progress.note("onnxruntime is not installed, so forecaster.onnx was not run; pip install onnxruntime")
        _check(differences, folder)
        manifest["check"] = {"tolerance": TOLERANCE, "largest_difference": differences}
        (partial / MANIFEST).write_text(json.dumps(manifest, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        example = importlib.resources.files("convlstm_cli").joinpath("templates", "forecast.py")
        (partial / "forecast.py").write_bytes(example.read_bytes())
        (partial / "README.md").write_text(_readme(manifest), encoding="utf-8")
        files = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
    return Export(folder, files, differences)


def free_folder(run: Path) -> Path:
    """A path inside a run folder that is not taken: export-1, export-2 and so on."""
    return numbered(run, "export")


def _describe(run: Run, network: EncoderForecaster) -> dict[str, Any]:
    """What the manifest says whatever the format."""
    config, geometry, test = network.config, run.geometry, run.read_test()
    size = [config.channels, config.height, config.width]
    pixels = {"dtype": "float32", "range": [0.0, 1.0], "colour": "grey" if config.channels == 1 else "RGB"}
    return {
        "format_version": FORMAT_VERSION,
        "run": run.name,
        "versions": versions(),
        "frames": {
            "name": onnx_file.FRAMES,
            "layout": "batch, time (oldest first), channel, row (from the top), column (from the left)",
            "shape": ["batch", config.input_frames, *size],
            **pixels,
            "from_bytes": "divide by 255",
            "fit": geometry.fit,
            "fit_rule": FITS[geometry.fit],
            "resize_rule": RESIZE,
            "grey_rule": "0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601)",
        },
        "horizon": {"name": onnx_file.HORIZON, "dtype": "int64", "shape": [], "least": 1, "trained": config.horizon},
        "forecast": {
            "name": onnx_file.FORECAST,
            "layout": "as frames; the first is the one after the last input frame",
            "shape": ["batch", "horizon", *size],
            **pixels,
            "to_bytes": "multiply by 255 and round",
            "restore_rule": "undo the fit: cut the padding away and resize to the source's size, where that is wanted",
        },
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "network": asdict(config),
        "test_scores": {name: test[name]["mean"] for name in ("model", "persistence")} if test else None,
    }


def _write_torch(network: EncoderForecaster, folder: Path) -> dict[str, Any]:
    files = {}
    for name, program in record_parts(network).items():
        files[name] = f"{name}.pt2"
        torch.export.save(program, folder / files[name])
    return {"files": files, "version": torch.__version__, "state": list(network.state_names)}


def _write_onnx(network: EncoderForecaster, folder: Path) -> dict[str, Any]:
    file, *weights = onnx_file.write_onnx(network, folder / "forecaster.onnx")
    return {"file": file.name, "weights": weights[0].name if weights else None, "opset": onnx_file.OPSET}


def _difference(network: EncoderForecaster, folder: Path, files: str | dict[str, str]) -> float:
    """The largest difference between the programs in a folder and the network."""
    if isinstance(files, dict):
        parts = {name: torch.export.load(folder / file).module() for name, file in files.items()}
    largest = 0.0
    with torch.no_grad():
        for frames, horizon in _trials(network):
            if isinstance(files, dict):
                found = run_parts(parts, frames, horizon)
            else:
                found = onnx_file.run_onnx(folder / files, frames, horizon)
            difference = (found - network(frames, horizon)).abs().max()
            largest = max(largest, float(difference.nan_to_num(nan=torch.inf)))
    return largest


def _trials(network: EncoderForecaster) -> Iterator[tuple[Tensor, int]]:
    """Frames and horizons to check with: batches and horizons that nothing was recorded with."""
    config = network.config
    generator = torch.Generator().manual_seed(0)
    shape = config.input_frames, config.channels
    coarse = torch.rand(1, config.channels, 4, 4, generator=generator)
    shapes = F.interpolate(coarse, size=(config.height, config.width), mode="bicubic", align_corners=False).clamp(0, 1)
    moving = torch.stack([shapes.roll((t, 2 * t), dims=(2, 3)) for t in range(config.input_frames)], dim=1)
    noise = torch.rand(1, *shape, config.height, config.width, generator=generator)
    flat = torch.full_like(noise, 0.5)
    yield moving, config.horizon + 3
    yield torch.cat((moving.flip(1), noise, flat)), 2


def _check(differences: dict[str, float | None], folder: Path) -> None:
    for name, difference in differences.items():
        if difference is not None and difference > TOLERANCE:
            raise OutputError(
                f"{folder}: was not written, because the exported {name} program differs from the network by "
                f"{difference:.2g}, and {TOLERANCE:g} is allowed; train the network anew if its weights are not "
                "finite, or export it with other versions of torch and onnx."
            )


def _readme(manifest: dict[str, Any]) -> str:
    environment = Environment(
        loader=PackageLoader("convlstm_cli.interop"), autoescape=False, trim_blocks=True, lstrip_blocks=True
    )
    _, count, channels, height, width = manifest["frames"]["shape"]
    return environment.get_template("export.md").render(
        run=manifest["run"],
        parameters=manifest["parameters"],
        colour="grey" if channels == 1 else "colour",
        count=count,
        channels=channels,
        height=height,
        width=width,
        horizon=manifest["horizon"]["trained"],
        fit=manifest["frames"]["fit_rule"],
        resize=RESIZE,
        onnx=manifest.get("onnx"),
        torch=manifest.get("torch"),
    )
