"""Forecasts clips with a network and scores it, with and without its guard, beside baselines on the same clips."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from torch import Tensor
from torch.utils.data import DataLoader, Subset

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import ALONE, Ranks
from convlstm_cli.forecasting.inference import forecast_members
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.scoring.baselines import BASELINES, Baseline
from convlstm_cli.scoring.formulae import finite, skill
from convlstm_cli.scoring.guard import origins_of
from convlstm_cli.scoring.guarded import guarded_forecast
from convlstm_cli.scoring.members.ensemble_scores import EnsembleScores, Sampling
from convlstm_cli.scoring.members.member_scores import mean_of
from convlstm_cli.scoring.scores import PooledScores, Scores
from convlstm_cli.scoring.systems import GUARDED, MEAN, MEMBERS, MODEL
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.tensors import to_float, to_read, valid

COPYING: Mapping[str, Baseline] = {"persistence": BASELINES["persistence"]}
"""The baseline that every evaluation has."""


@dataclass
class Evaluation:
    """Scores of a model and of baselines on the same clips, all in the unit of one range of values."""

    model: Scores = field(default_factory=Scores)
    baselines: dict[str, Scores] = field(default_factory=lambda: {"persistence": Scores()})
    """By the names of `BASELINES`; persistence is always among them."""
    guarded: Scores | None = None
    """Scores of the model's forecasts mixed with the baselines by the guard, where that is asked for."""
    mean: Scores | None = None
    """Scores of the mean of the members, where a network drew them."""
    ensemble: EnsembleScores | None = None
    """Scores of the members, drawn by a network or the forecasts of several, beside all other systems."""

    @property
    def persistence(self) -> Scores:
        """Scores of copying the last frame."""
        return self.baselines["persistence"]

    @property
    def skill(self) -> float:
        """1 - MSE / MSE of persistence, over all lead times."""
        return skill(self.model.mean_mse, self.persistence.mean_mse)

    @property
    def systems(self) -> dict[str, Scores]:
        """Scores of the model, its guarded forecast, its members' mean and every baseline, by their names in files."""
        others = {GUARDED: self.guarded, MEAN: self.mean}
        return {
            MODEL: self.model,
            **{name: scores for name, scores in others.items() if scores is not None},
            **self.baselines,
        }

    def pooled(self) -> dict[str, PooledScores]:
        """The scores of `systems`, pooled over clips."""
        return {name: scores.pooled() for name, scores in self.systems.items()}

    def to_dict(self) -> dict[str, object]:
        """All scores and the skill, as JSON holds them."""
        return {
            "skill": finite(self.skill),
            **{name: scores.to_dict() for name, scores in self.pooled().items()},
        }


def recorded_systems(content: Mapping[str, object]) -> dict[str, PooledScores]:
    """The scores in what `Evaluation.to_dict` gave, by the names of their systems, the model first.

    `content` has been validated. Files of before a baseline existed lack it.
    """
    found = {name: content[name] for name in (MODEL, GUARDED, MEAN, *BASELINES) if name in content}
    return {name: PooledScores.from_dict(scores) for name, scores in found.items() if isinstance(scores, Mapping)}


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
    guard: bool = False,
    sampling: Sampling | None = None,
    ranks: Ranks = ALONE,
) -> Evaluation:
    """Forecasts every clip from its first `input_frames` frames and scores the other frames.

    Args:
        model: a network, or several, an ensemble, of whose forecasts the mean is scored. Each reads as many of the
            `input_frames` as it was trained with, the last ones.
        clips: are scored, all of them.
        compute: device and precision.
        batch_size: clips that are forecast at a time.
        on_batch: is called after each batch with the number of clips done, by all processes together, and their total.
            An exception that it raises ends the evaluation.
        known: scores of persistence on these clips, where they have been measured before.
        baselines: are scored beside the model; persistence must be one of them.
        thresholds: of the event metrics, as people give them for the range of values of the clips.
        input_frames: frames of a clip that are read; None for the most that a network was trained with.
        guard: whether the guarded forecast is scored too, which needs all of `BASELINES` measured, one process and
            enough input frames to check it; it takes up to three short forecasts a clip.
        sampling: how members are drawn, which are scored beside the forecast. Without it, the forecasts of several
            networks are scored as members.
        ranks: the processes that share the work, of one network only. Each scores its share of the clips, and all
            return the scores of all clips.
    """
    models = [model] if isinstance(model, EncoderForecaster) else list(model)
    input_frames = input_frames or max(member.config.input_frames for member in models)
    values = clips.values
    evaluation = Evaluation(
        Scores(thresholds, values),
        {name: Scores(thresholds, values) for name in baselines},
        Scores(thresholds, values) if guard and origins_of(input_frames) else None,
        None if sampling is None else Scores(thresholds, values),
    )
    evaluation.ensemble = _ensemble(models, sampling, evaluation)
    measured = {name: each for name, each in baselines.items() if name != "persistence" or known is None}
    assert evaluation.guarded is None or measured.keys() == BASELINES.keys()
    scorer = _Scorer(models, input_frames, compute, measured, sampling, evaluation)
    done = 0
    for batch in DataLoader(Subset(clips, ranks.share(range(len(clips)))), batch_size=batch_size):
        scorer.add(batch)
        done += len(batch) * ranks.world
        if on_batch is not None:
            on_batch(min(done, len(clips)), len(clips))
    if ranks.world > 1:
        _gather(evaluation, measured, ranks)
    if known is not None:
        evaluation.baselines["persistence"] = known
    return evaluation


class _Scorer:
    """Forecasts batches of clips with all systems, and adds their scores to an evaluation."""

    def __init__(
        self,
        models: Sequence[EncoderForecaster],
        input_frames: int,
        compute: Compute,
        baselines: Mapping[str, Baseline],
        sampling: Sampling | None,
        evaluation: Evaluation,
    ) -> None:
        self._models, self._input_frames, self._compute = models, input_frames, compute
        self._baselines, self._sampling, self._evaluation = baselines, sampling, evaluation

    def add(self, batch: Tensor) -> None:
        """Scores clips (B, T, C, H, W) as `ClipDataset` gives them."""
        evaluation, compute, first = self._evaluation, self._compute, self._models[0]
        seen, following = batch.tensor_split([self._input_frames], dim=1)
        frames, ahead = to_read(seen, compute.device), to_float(following, compute.device)
        truth, future = first.target_channels(ahead), first.known_future(ahead)
        there = valid(following[:, :, : truth.shape[2]], compute.device)
        members = forecast_members(self._models, frames, truth.shape[1], compute, future)
        forecasts = {MODEL: members.mean(dim=0)}
        inputs = first.target_channels(frames)
        forecasts |= {name: baseline.forecast(inputs, truth.shape[1]) for name, baseline in self._baselines.items()}
        if evaluation.guarded is not None:
            forecasts[GUARDED] = guarded_forecast(self._models, frames, forecasts, compute)
        if evaluation.ensemble is not None:
            drawn = {name: forecast[None] for name, forecast in forecasts.items()} | {MEMBERS: members}
            if self._sampling is not None:
                values = evaluation.model.values
                drawn[MEMBERS] = self._sampling.draw(frames, truth.shape[1], compute, future)
                drawn |= self._sampling.draw_baselines(inputs, truth.shape[1], values)
                forecasts[MEAN] = mean_of(drawn[MEMBERS], values)
            evaluation.ensemble.add(drawn, truth, there)
        for name, forecast in forecasts.items():
            evaluation.systems[name].add(forecast, truth, there)


def _ensemble(
    models: Sequence[EncoderForecaster], sampling: Sampling | None, evaluation: Evaluation
) -> EnsembleScores | None:
    """What scores the members; None for the forecast of one network."""
    if sampling is None and len(models) == 1:
        return None
    model = evaluation.model
    return EnsembleScores(
        len(models) if sampling is None else sampling.count,
        [name for name in evaluation.systems if name != MEAN],
        () if sampling is None else sampling.baselines,
        thresholds=model.thresholds,
        values=model.values,
        seed=0 if sampling is None else sampling.seed,
    )


def _gather(evaluation: Evaluation, baselines: Mapping[str, Baseline], ranks: Ranks) -> None:
    """Puts the scores of all processes into the evaluation of each, in the order of the clips."""
    assert evaluation.ensemble is None
    assert evaluation.guarded is None
    parts = ranks.gather((evaluation.model, {name: evaluation.baselines[name] for name in baselines}))
    evaluation.model = Scores.in_turn([model for model, _ in parts])
    for name in baselines:
        evaluation.baselines[name] = Scores.in_turn([others[name] for _, others in parts])
