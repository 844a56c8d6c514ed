"""Counts the trainings of a comparison for its progress, those under way by their share."""

from datetime import timedelta

from convlstm_cli.comparing.plan import Trial
from convlstm_cli.comparing.trial import TrialResult
from convlstm_cli.progress import Progress
from convlstm_cli.reporting.numbers import figure


class Tally:
    """How many of `total` trainings are made; `done` were made before."""

    def __init__(self, progress: Progress, done: int, total: int) -> None:
        self._progress, self._done, self._total = progress, done, total
        self._shares: dict[str, float] = {}

    def share(self, trial: str, share: float) -> None:
        """`share` of a training, in [0, 1], is done."""
        self._shares[trial] = share
        # Short of all, since its test and its report are still to come.
        done = self._done + min(sum(self._shares.values()), len(self._shares) - 1e-6)
        self._progress.comparing(done, self._total, "; ".join(self._shares))

    def ended(self, trial: Trial, result: TrialResult) -> None:
        """A training has ended and is tested."""
        self._shares.pop(str(trial), None)
        self._done += 1
        against = f", {result.mse / result.copying:.3f} × copying" if result.copying else ""
        self._progress.note(
            f"{trial}: {result.steps} steps in {timedelta(seconds=round(result.seconds))}, test MSE "
            f"{figure(result.mse, result.unit)}{against} ({self._done} of {self._total})"
        )
