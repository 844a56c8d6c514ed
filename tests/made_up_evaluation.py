"""An evaluation made up for tests of what shows it."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from convlstm_cli.compute.device import choose
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.bootstrap import Interval, Skill
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.scoring.evaluation import Evaluation
from convlstm_cli.scoring.formulae import skill
from convlstm_cli.scoring.members.ensemble_scores import EnsembleScores
from convlstm_cli.scoring.pooling import Rows
from convlstm_cli.scoring.result import EvaluationReport, ShownClip
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.scoring.systems import MEMBERS
from convlstm_cli.video.library import Video
from convlstm_cli.video.values import BYTES, ValueRange

OPTICAL_FLOW_MSE = 0.01
"""At every lead time. That of the other baselines is twice as large."""


def scores_of(mse: Rows, thresholds: Sequence[float] = (), values: ValueRange = BYTES) -> Scores:
    """Scores with these MSE, (clips, lead times), of values in [0, 1] of their range."""
    errors = torch.from_numpy(np.sqrt(mse)).float()[..., None, None, None].expand(-1, -1, 1, 11, 11)
    scores = Scores(thresholds, values)
    scores.add(errors, torch.zeros_like(errors))
    return scores


def made_up_report(
    mse: Sequence[float],
    videos: int = 30,
    interval: Interval | None = (0.2, 0.4),
    spread: Sequence[float] | None = None,
    guarded: Sequence[float] | None = None,
    values: ValueRange = BYTES,
) -> EvaluationReport:
    """An evaluation with one clip for each video, all with the same MSE by lead time.

    `interval` is that of every skill; `spread` is the variance by lead time of an ensemble of three, whose mean
    is the forecast; `guarded` is the MSE of the guarded forecast.
    """

    thresholds = (0.2,) if values.as_shares else (5.0,)

    def scores(mse: Sequence[float]) -> Scores:
        return scores_of(np.tile(np.array(mse), (videos, 1)), thresholds, values)

    leads = len(mse)
    of_baselines = {
        name: scores([OPTICAL_FLOW_MSE * (1 if name == "optical_flow" else 2)] * leads) for name in BASELINES
    }
    model = scores(mse)
    names = [f"video{number}" for number in range(videos)]
    return EvaluationReport(
        runs=tuple(Run(Path(f"run{number}"), {}) for number in range(1 if spread is None else 3)),
        folders=(),
        config=EvaluateConfig(frames=leads, stride=leads, thresholds=thresholds),
        compute=choose("cpu"),
        input_frames=4,
        frame_shape=(3, 32, 32),
        videos=tuple(map(made_up_video, names)),
        left_out=(),
        clips=tuple((name, 0) for name in names),
        evaluation=Evaluation(
            model,
            of_baselines,
            None if guarded is None else scores(guarded),
            ensemble=None if spread is None else _members(mse, spread, videos, thresholds, values),
        ),
        skills={
            name: Skill(
                skill(model.mean_mse, reference.mean_mse),
                [skill(ours, theirs) for ours, theirs in zip(mse, reference.mse, strict=True)],
                interval,
                None if interval is None else [interval] * leads,
            )
            for name, reference in of_baselines.items()
        },
        worst=(_shown("bad.mkv", 11),),
        best=(_shown("good.mkv", 1),),
        values=values,
    )


def _members(
    mse: Sequence[float], variance: Sequence[float], videos: int, thresholds: Sequence[float], values: ValueRange
) -> EnsembleScores:
    """Three members with this unbiased variance and this MSE of their mean by lead time, beside a copy of MSE 0.02."""
    shape = (videos, -1, 1, 11, 11)
    error, deviation, copied = (
        torch.tensor(each).sqrt().view(1, -1, 1, 1, 1).expand(shape) for each in (mse, variance, [0.02] * len(mse))
    )
    truth = torch.full_like(error, 0.2)
    members = torch.stack((truth + error + deviation, truth + error, truth + error - deviation))
    scores = EnsembleScores(3, ["persistence"], thresholds=thresholds, values=values)
    scores.add({MEMBERS: members, "persistence": (truth + copied)[None]}, truth)
    return scores


def _shown(video: str, first_frame: int) -> ShownClip:
    rows = {name: torch.rand(2, 1, 16, 16) for name in ("input", "truth", "model", *BASELINES)}
    return ShownClip(video, first_frame, 0.005, 0.02, rows)


def made_up_video(name: str) -> Video:
    return Video(
        name=name,
        path=Path(name),
        frames=40,
        source_height=32,
        source_width=32,
        fps=None,
        channels=3,
        declared_frames=None,
        source_frames=40,
        seconds=None,
        step=None,
        pieces=((0, 40),),
        start=None,
        notes=(),
    )
