"""Scores of a network's forecasts of clips, beside those of baselines on the same clips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch.utils.data import DataLoader, Subset

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.forecasting.inference import forecast_members, to_float
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.baselines import Baseline, persistence
from convlstm_cli.scoring.metrics import Scores, Spread, finite, skill
from convlstm_cli.video.clips import ClipDataset


@dataclass
class Evaluation:
    """Scores of a model and of baselines on the same clips."""

    model: Scores = field(default_factory=Scores)
    baselines: dict[str, Scores] = field(default_factory=lambda: {"persistence": Scores()})
    """By the names of `BASELINES`; persistence is always among them."""
    spread: Spread | None = None
    """Where the model is an ensemble."""

    @property
    def persistence(self) -> Scores:
        """Scores of copying the last frame."""
        return self.baselines["persistence"]

    @property
    def skill(self) -> float:
        """1 - MSE / MSE of persistence, over all lead times."""
        return skill(self.model.mean_mse, self.persistence.mean_mse)

    def to_dict(self) -> dict[str, object]:
        """All scores and the skill, as JSON holds them."""
        return {
            "skill": finite(self.skill),
            "model": self.model.to_dict(),
            **{name: scores.to_dict() for name, scores in self.baselines.items()},
        }


COPYING: Mapping[str, Baseline] = {"persistence": persistence}


def evaluate_clips(
    model: EncoderForecaster | Sequence[EncoderForecaster],
    clips: ClipDataset,
    compute: Compute,
    batch_size: int,
    on_batch: Callable[[int, int], None] | None = None,
    known: Scores | None = None,
    *,
    baselines: Mapping[str, Baseline] = COPYING,
    thresholds: Sequence[float] = (),
    input_frames: int | None = None,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Forecasts every clip from its first `input_frames` frames and scores the rest.

    A model is given as many of the `input_frames` as it was trained with, the last ones; None takes the most that one
    was. Of several models, an ensemble, the mean of the forecasts is scored. `on_batch` is called after each batch with
    the number of clips done and their total; what it raises ends the evaluation. `known` are the scores of
    persistence on these very clips, if they were taken before. `baselines` are scored beside the model, and
    persistence has to be one of them. Of several processes (of one model, not of an ensemble) each scores its share of
    the clips, and all get the scores of all clips; `on_batch` is told this process's clips times their number.
    """
    models = [model] if isinstance(model, EncoderForecaster) else list(model)
    input_frames = input_frames or max(member.config.input_frames for member in models)
    evaluation = Evaluation(
        Scores(thresholds),
        {name: Scores(thresholds) for name in baselines},
        Spread(len(models)) if len(models) > 1 else None,
    )
    if known is not None:
        evaluation.baselines["persistence"] = known
    done = 0
    for batch in DataLoader(Subset(clips, ranks.share(range(len(clips)))), batch_size=batch_size):
        frames, truth = to_float(batch, compute.device).tensor_split([input_frames], dim=1)
        members = forecast_members(models, frames, truth.shape[1], compute)
        evaluation.model.add(members.mean(dim=0), truth)
        if evaluation.spread is not None:
            evaluation.spread.add(members)
        for name, baseline in baselines.items():
            if name != "persistence" or known is None:
                evaluation.baselines[name].add(baseline(frames, truth.shape[1]), truth)
        done += len(batch) * ranks.world
        if on_batch is not None:
            on_batch(min(done, len(clips)), len(clips))
    if ranks.world > 1:
        assert evaluation.spread is None
        parts = ranks.gather((evaluation.model, evaluation.baselines))
        evaluation.model = Scores.in_turn([model for model, _ in parts])
        for name in baselines:
            if name != "persistence" or known is None:
                evaluation.baselines[name] = Scores.in_turn([others[name] for _, others in parts])
    return evaluation
