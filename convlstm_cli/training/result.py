"""What a training gives, and the files that are written when it ends."""

import contextlib
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.stopping import Stopped, at_once
from convlstm_cli.errors import ConvLSTMError
from convlstm_cli.forecasting.inference import forecast_clip
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.reporting import pictures
from convlstm_cli.runs.records import EpochRecord, EvaluationRecord, ResultRecord
from convlstm_cli.runs.run import SAMPLES, Run
from convlstm_cli.runs.state import State
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.evaluation import Evaluation
from convlstm_cli.training.calibration import calibrate
from convlstm_cli.training.session import Session
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.colormaps import DEFAULT_COLORMAP
from convlstm_cli.video.painting import Painter
from convlstm_cli.video.tensors import always_gaps, to_float, to_read, with_gaps

SEVERAL = 4
"""Least epochs from which the best one says something."""
FELL = 0.98
"""Share of the training loss of the best epoch below which the last one's counts as lower."""


@dataclass(frozen=True)
class TrainResult:
    """What training gave."""

    run: Run
    epochs: int
    steps: int
    seconds: float
    """Wall-clock time of training and validation, over all resumed parts."""
    step_seconds: float | None
    """Median time of one optimiser step; None if this part made none."""
    stopped: str
    """Why it ended."""
    test: Evaluation
    """The best weights on the test videos."""
    best_epoch: int
    """The epoch of the best weights."""
    is_by_heart: bool
    """Whether the training videos were learned by heart after it, as `learned_by_heart` finds."""


def finish(session: Session, state: State, seconds: float, step_seconds: Sequence[float], reason: str) -> TrainResult:
    """Scores the best weights on the test videos; rank 0 writes metrics.jsonl, test.json and report.html.

    Raises ConvLSTMError where the forecasts are not finite.
    """
    run = session.run
    session.ranks.wait()  # until rank 0 has written the weights
    if session.config.members:
        session.ranks.first(lambda: _calibrate(session), lambda: None)
    test = session.evaluate(run.load_model(session.compute.device), session.data.clips("test"), BASELINES)
    if not math.isfinite(test.model.mean_mse):
        raise ConvLSTMError(
            f"{run.folder}: the best weights give forecasts of the test videos that are not finite; train "
            f"again with a lower --learning-rate than {session.config.learning_rate:g}, or --precision fp32."
        )
    if session.ranks.is_first:
        # Again, for a run that was killed between its last checkpoint and this file.
        run.write_metrics(state.history)
        scores = EvaluationRecord.from_json(test.to_dict())
        run.write_result(ResultRecord(scores.skill, scores.scores, state.best_epoch, reason, seconds))
        # Here, since matplotlib takes half a second to load, for which no first step should wait.
        from convlstm_cli.reporting import run_page

        run_page.write_run_report(run)
    session.progress.finished()
    typical = statistics.median(step_seconds) if step_seconds else None
    by_heart = learned_by_heart(state.history, state.best_epoch)
    return TrainResult(run, state.epoch, state.steps, seconds, typical, reason, test, state.best_epoch, by_heart)


def learned_by_heart(history: Sequence[EpochRecord], best_epoch: int) -> bool:
    """Whether the best epoch lies in the first half of several, and the training loss fell further after it."""
    losses = {row.epoch: row.train_loss for row in history}
    best, last = losses.get(best_epoch), losses.get(len(history))
    if best is None or last is None:
        return False
    return len(history) >= SEVERAL and 2 * best_epoch <= len(history) and last < FELL * best


def _calibrate(session: Session) -> None:
    """Calibrates the spread of the best weights' members on the validation videos."""
    run, network = session.run, session.run.load_model(session.compute.device)

    alone = session.ranks.world == 1  # of several processes none leaves alone, since the others wait for it

    def done(batches: int, total: int) -> None:
        session.progress.validating(batches, total)
        if alone and session.should_stop():
            raise Stopped

    clips = session.data.clips("validation")
    batch = math.ceil(session.config.batch_size / (2 * session.ranks.world))  # each clip has several members
    with at_once(session.should_stop) if alone else contextlib.nullcontext():
        found = calibrate(network, clips, session.compute, batch, done)
    run.save_weights(network.state_dict())
    run.write_json("calibration.json", found.to_dict())


def write_sample(
    run: Run,
    network: EncoderForecaster,
    clips: ClipDataset,
    compute: Compute,
    epoch: int,
    colormap: str = DEFAULT_COLORMAP,
) -> None:
    """Writes a picture of the first clip's input, truth and forecast into the run's samples, named by the epoch."""
    device = compute.device
    seen, following = clips[0][None].tensor_split([network.config.input_frames], dim=1)  # (1, T, C, H, W)
    inputs, truth = (network.target_channels(with_gaps(part, device)) for part in (seen, following))
    known = network.known_future(to_float(following, device))
    forecast = forecast_clip(network, to_read(seen, device), truth.shape[1], compute, known)
    pictures.write_strip(
        run.folder / SAMPLES / f"epoch_{epoch:04d}.png",
        {
            "input": inputs[0],
            "truth": truth[0],
            "forecast": forecast.masked_fill(always_gaps(inputs), math.nan)[0],
        },
        Painter(clips.values, colormap),
    )
