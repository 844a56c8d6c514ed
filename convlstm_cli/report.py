"""Pictures, plots and the HTML report of a run."""

import base64
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch.nn.functional as F
from jinja2 import Environment, PackageLoader
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from convlstm_cli.baselines import NAMES
from convlstm_cli.files import replacing, write_text
from convlstm_cli.run import Run
from convlstm_cli.video.colour import Frame, to_channels
from convlstm_cli.video.opencv import cv2

Image = npt.NDArray[np.uint8]

INK = "#7f8c9b"  # readable on white and on black, since an SVG does not know the page's theme
COLOURS = {"model": "#2f7ed8", "persistence": "#e07b39", "linear_trend": "#9a6fd0", "optical_flow": "#2e9e6b"}
LABELS = {"model": "forecast", **NAMES}


def write_strip(path: Path, rows: Mapping[str, Tensor]) -> None:
    """Writes a PNG with one labelled row of frames for each entry, (T, C, H, W) in [0, 1].

    A row called `input` is numbered up to 0, the last frame seen; the others count lead times from 1.
    """
    write_image(path, strip(rows))


def strip(rows: Mapping[str, Tensor], title: str = "") -> Image:
    """The picture that `write_strip` writes: (H, W, 3) RGB; with a line of text above it if there is a `title`."""
    gap, header = 4, 18
    first = next(iter(rows.values()))
    height, width = first.shape[-2:]
    scale = max(1, round(96 / max(height, width)))
    height, width = height * scale, width * scale
    label = 12 + max(cv2.getTextSize(name, cv2.FONT_HERSHEY_SIMPLEX, 0.45, 1)[0][0] for name in rows)
    columns = max(len(frames) for frames in rows.values())
    picture = np.full((len(rows) * (header + height), label + columns * (width + gap), 3), 24, np.uint8)
    for index, (name, frames) in enumerate(rows.items()):
        top = index * (header + height) + header
        _write_text(picture, name, 4, top + height // 2)
        for column, frame in enumerate(frames):
            left = label + column * (width + gap)
            number = column - len(frames) + 1 if name == "input" else column + 1
            _write_text(picture, f"{number:+d}" if number else "0", left, top - 5, faint=True)
            tile = cv2.resize(to_image(frame), (width, height), interpolation=cv2.INTER_NEAREST)
            picture[top : top + height, left : left + width] = tile
    if title:
        line = np.full((32, picture.shape[1], 3), 24, np.uint8)
        _write_text(line, title.encode("ascii", "replace").decode(), 4, 24)  # OpenCV's letters are ASCII
        picture = np.vstack((line, picture))
    return picture


def thumbnail(frames: Tensor, side: int) -> Tensor:
    """A copy of (T, C, H, W) on the CPU, made smaller where a side is longer than `side` pixels."""
    longest = max(frames.shape[-2:])
    if longest <= side:
        return frames.detach().to("cpu", copy=True)  # a view would keep all that was computed with it
    height, width = (max(1, round(each * side / longest)) for each in frames.shape[-2:])
    return F.interpolate(frames, (height, width), mode="area").cpu()


def to_image(frame: Tensor) -> Image:
    """(C, H, W) in [0, 1] to (H, W, 3) RGB uint8."""
    return to_channels(to_frame(frame), 3)


def to_frame(pixels: Tensor) -> Frame:
    """(C, H, W) in [0, 1] to (H, W, C) uint8."""
    return np.ascontiguousarray((pixels * 255).round().byte().permute(1, 2, 0).cpu().numpy())


def write_image(path: Path, picture: Image) -> None:
    """Writes (H, W, 3) RGB as a PNG file."""
    with replacing(path) as partial:
        partial.write_bytes(_png(picture))


def write_run_report(run: Run) -> Path:
    """Writes report.html of a run that has been tested: one file that opens without a network."""
    history, test = run.read_metrics(), run.read_json("test.json")
    pictures = {int(path.stem.split("_")[1]): path for path in (run.folder / "samples").glob("epoch_*.png")}
    shown = sorted({min(pictures), max(pictures)}) if pictures else []
    page = (
        _environment()
        .get_template("run.html")
        .render(
            run=run,
            history=history,
            test=test,
            leads=_lead_rows(test) if test else [],
            baselines=[(name, label) for name, label in NAMES.items() if name in (test or {})],
            curves=_plot_history(history) if history else None,
            by_lead=_plot_leads(test) if test else None,
            samples=[(epoch, _data_uri(pictures[epoch].read_bytes())) for epoch in shown],
        )
    )
    path = run.folder / "report.html"
    write_text(path, page)
    return path


def _lead_rows(test: dict[str, Any]) -> list[dict[str, Any]]:
    """Of each lead time the model's scores and those of each baseline that the run was tested beside."""
    systems = [test[name]["by_lead_time"] for name in LABELS if name in test]
    return [
        {name: [scores[name][lead] for scores in systems] for name in ("mse", "psnr", "ssim")}
        for lead in range(len(systems[0]["mse"]))
    ]


def _plot_history(history: list[dict[str, Any]]) -> str:
    figure, axes = _figure("epoch", "validation MSE")
    epochs = [row["epoch"] for row in history]
    for name in ("model", "persistence"):
        values = [row["validation"][name]["mean"]["mse"] for row in history]
        axes.plot(epochs, values, color=COLOURS[name], label=LABELS[name], marker="." if len(epochs) < 3 else None)
    axes.legend(frameon=False, labelcolor=INK)
    return _svg(figure)


def _plot_leads(test: dict[str, Any]) -> str:
    figure, axes = _figure("lead time in frames", "test MSE")
    for name, label in LABELS.items():
        if name in test:
            values = test[name]["by_lead_time"]["mse"]
            axes.plot(range(1, len(values) + 1), values, color=COLOURS[name], label=label, marker=".")
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False, labelcolor=INK)
    return _svg(figure)


def _figure(x_label: str, y_label: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(6.4, 3.2), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x_label, color=INK)
    axes.set_ylabel(y_label, color=INK)
    axes.tick_params(colors=INK)
    axes.spines[:].set_color(INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return figure, axes


def _svg(figure: Figure) -> str:
    text = io.StringIO()
    figure.savefig(text, format="svg", transparent=True)
    return text.getvalue()[text.getvalue().index("<svg") :]


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("convlstm_cli"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["number"] = lambda value, digits=5: "∞" if value is None else f"{value:.{digits}f}"
    return environment


def _png(picture: Image) -> bytes:
    _, encoded = cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    return bytes(encoded)


def _data_uri(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _write_text(picture: Image, text: str, left: int, bottom: int, *, faint: bool = False) -> None:
    size, grey = (0.35, 150) if faint else (0.45, 235)
    cv2.putText(picture, text, (left, bottom), cv2.FONT_HERSHEY_SIMPLEX, size, (grey,) * 3, 1, cv2.LINE_AA)
