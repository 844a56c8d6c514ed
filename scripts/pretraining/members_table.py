"""How good members are on real videos that their network was not trained on."""

from dataclasses import dataclass
from pathlib import Path

from convlstm_cli.compute.device import Compute
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import evaluate_clips
from convlstm_cli.scoring.members.ensemble_scores import Sampling
from convlstm_cli.scoring.systems import MEMBERS
from pretraining.zero_shot import BATCH, INPUTS, clips_of

COUNT, SEED = 20, 0


@dataclass(frozen=True)
class MembersRow:
    """Scores of members on the videos of one folder, guarded as `predict` guards them."""

    folder: str
    clips: int
    crps: float
    """Fair CRPS over the MAE of optical flow."""
    crps_copying: float
    """Over the MAE of copying."""
    spread_skill: tuple[float, ...]
    """Spread over error by lead time."""
    reliability_index: float
    """Reliability index of the rank histogram."""
    mse: float
    """MSE of the members' mean over that of optical flow."""


def members_table(network: EncoderForecaster, folders: tuple[Path, ...]) -> list[MembersRow]:
    """A row of scores for each folder of a network that reads noise."""
    compute = Compute(next(network.parameters()).device, next(network.parameters()).dtype)
    sampling = Sampling([network.eval()], COUNT, SEED, {})
    rows = []
    for folder in folders:
        clips = clips_of(folder, network.config.channels)
        found = evaluate_clips(
            network, clips, compute, BATCH, baselines=BASELINES, input_frames=INPUTS, sampling=sampling
        )
        assert found.ensemble is not None
        scores = found.ensemble.pooled([name for name, _ in clips.clips])
        members, flow, copying = scores[MEMBERS], scores["optical_flow"], scores["persistence"]
        assert members.spread_skill is not None
        assert members.ranks is not None
        rows.append(
            MembersRow(
                folder.name,
                len(clips),
                members.mean_crps / flow.mean_crps,
                members.mean_crps / copying.mean_crps,
                tuple(members.spread_skill),
                members.ranks.reliability_index,
                members.mean_mse / flow.mean_mse,
            )
        )
    return rows


def text(rows: list[MembersRow]) -> str:
    """The rows as a table."""
    head = "set | clips | CRPS/flow's MAE | CRPS/copying's | spread/error | reliability index | MSE of the mean/flow"
    lines = [head, " | ".join(["---"] * 7)]
    for row in rows:
        spread = f"{min(row.spread_skill):.2f} to {max(row.spread_skill):.2f}"
        numbers = f"{row.crps:.3f} | {row.crps_copying:.3f} | {spread} | {row.reliability_index:.3f} | {row.mse:.3f}"
        lines.append(f"{row.folder} | {row.clips} | {numbers}")
    return "\n".join(f"| {line} |" for line in lines)
