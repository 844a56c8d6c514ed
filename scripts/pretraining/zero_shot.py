"""How well a network forecasts real videos that it was not trained on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from convlstm_cli.compute.device import Compute
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import COPYING, evaluate_clips
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.geometry import FrameGeometry
from convlstm_cli.video.library import index
from convlstm_cli.video.split import Segment

INPUTS, HORIZON, SIDE, BATCH = 10, 10, 64, 16


@dataclass(frozen=True)
class Row:
    """Scores on the videos of one folder."""

    folder: str
    clips: int
    mse: float
    """Over that of optical flow."""
    mae: float
    """Over that of optical flow."""
    mse_copying: float
    """Over that of copying."""
    ssim: tuple[float, float, float]
    """SSIM of the forecast, of optical flow and of copying."""
    worst_ssim: float
    """The least SSIM of the forecast minus that of optical flow, over the lead times."""
    blocks: float
    """Spectrum of the forecasts at the patch grid's frequencies over that of the truth."""


class ZeroShot:
    """Folders of videos with the scores of the baselines, which are computed once."""

    def __init__(self, folders: tuple[Path, ...], channels: int) -> None:
        self._sets = [clips_of(folder, channels) for folder in folders]
        self._names = [folder.name for folder in folders]
        self._known: list[dict[str, Scores]] = []

    def table(self, network: EncoderForecaster) -> list[Row]:
        """A row of scores for each folder; the network is in evaluation mode from then on."""
        compute = Compute(next(network.parameters()).device, torch.float32)
        rows = []
        for number, (name, clips) in enumerate(zip(self._names, self._sets, strict=True)):
            baselines = BASELINES if number >= len(self._known) else COPYING
            known = None if number >= len(self._known) else self._known[number]["persistence"]
            found = evaluate_clips(
                network, clips, compute, BATCH, known=known, baselines=baselines, input_frames=INPUTS
            )
            if known is None:
                self._known.append(found.baselines)
            rows.append(_row(name, found.model, self._known[number], grid_ratio(network, clips, compute)))
        return rows


def text(rows: list[Row]) -> str:
    """The rows as a table."""
    head = "set | clips | MSE/flow | MAE/flow | MSE/copying | SSIM forecast/flow/copying | worst SSIM-flow | blocks"
    lines = [head, " | ".join(["---"] * 8)]
    for row in rows:
        ssim = "/".join(f"{value:.3f}" for value in row.ssim)
        numbers = f"{row.mse:.3f} | {row.mae:.3f} | {row.mse_copying:.3f} | {ssim}"
        lines.append(f"{row.folder} | {row.clips} | {numbers} | {row.worst_ssim:+.3f} | {row.blocks:.2f}")
    return "\n".join(f"| {line} |" for line in lines)


def grid_ratio(network: EncoderForecaster, clips: ClipDataset, compute: Compute, most: int = 32) -> float:
    """How strongly the patch grid shows in the forecasts of up to `most` clips, over how it does in their truth.

    Above 1, there are steps of brightness at the borders of patches that the truth does not have.
    """
    patch = network.config.patch_size
    places = np.linspace(0, len(clips) - 1, min(most, len(clips))).astype(int).tolist()
    frames = torch.stack([clips[place] for place in places]).to(compute.device).float() / 255.0
    with torch.inference_mode():
        forecast = network.eval()(frames[:, :INPUTS], HORIZON)
    return _border_steps(forecast, patch) / _border_steps(frames[:, INPUTS:], patch)


def _border_steps(frames: torch.Tensor, patch: int) -> float:
    """Mean |difference| of the pixels on both sides of a patch's border over that of all other neighbours."""
    if patch < 2:
        return 1.0
    differences = (frames.diff(dim=-1).abs().mean(dim=(0, 1, 2, 3)), frames.diff(dim=-2).abs().mean(dim=(0, 1, 2, 4)))
    ratios = []
    for edges in differences:  # of each column or row and the next; every p-th is a border of patches
        at = torch.arange(1, len(edges) + 1, device=edges.device) % patch == 0
        ratios.append(float(edges[at].mean() / edges[~at].mean().clamp(min=1e-9)))
    return sum(ratios) / 2


def clips_of(folder: Path, channels: int) -> ClipDataset:
    """All clips of the videos of a folder, `HORIZON` frames apart."""
    library = index([folder], FrameGeometry(SIDE, SIDE, "pad"), min_frames=INPUTS + HORIZON)
    segments = [Segment(video.name, 0, video.frames) for video in library.videos]
    clips = ClipDataset(library, segments, INPUTS + HORIZON, stride=HORIZON, channels=channels)
    if not len(clips):
        raise SystemExit(f"--evaluate {folder}: holds no video of {INPUTS + HORIZON} frames")
    return clips


def _row(name: str, model: Scores, baselines: dict[str, Scores], blocks: float) -> Row:
    flow, copying = baselines["optical_flow"], baselines["persistence"]
    return Row(
        name,
        model.clips,
        model.mean_mse / flow.mean_mse,
        model.overall("mae") / flow.overall("mae"),
        model.mean_mse / copying.mean_mse,
        (model.overall("ssim"), flow.overall("ssim"), copying.overall("ssim")),
        float(np.min(np.subtract(model.by_lead_time("ssim"), flow.by_lead_time("ssim")))),
        blocks,
    )
