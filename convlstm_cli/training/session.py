"""What a training works with from its beginning to its end, and how it scores and stops."""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.distributed import Ranks
from convlstm_cli.compute.memory import is_out_of_memory
from convlstm_cli.compute.stopping import Stopped, at_once
from convlstm_cli.errors import InsufficientMemoryError
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import Baseline
from convlstm_cli.scoring.evaluation import Evaluation, evaluate_clips
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.training import memory as fitting
from convlstm_cli.training.config import TrainConfig
from convlstm_cli.video.clips import ClipDataset
from convlstm_cli.video.data import VideoData


@dataclass(frozen=True)
class Session:
    """A training's run, data, settings and surroundings, none of which change while it goes on."""

    run: Run
    data: VideoData
    config: TrainConfig
    compute: Compute
    """Device of all, and precision of the forecasts that are scored."""
    ranks: Ranks
    progress: Progress
    should_stop: Callable[[], bool]

    def evaluate(
        self,
        network: EncoderForecaster,
        clips: ClipDataset,
        baselines: Mapping[str, Baseline],
        known: Scores | None = None,
    ) -> Evaluation:
        """Scores a network on clips beside baselines, all processes together. Raises Stopped where asked to stop."""

        def scored(done: int, total: int) -> None:
            self.progress.validating(done, total)
            if self.should_stop():
                raise Stopped

        with at_once(self.should_stop):
            return evaluate_clips(
                network,
                clips,
                self.compute,
                math.ceil(self.config.batch_size / self.ranks.world),
                scored,
                known,
                baselines=baselines,
                ranks=self.ranks,
            )

    @contextlib.contextmanager
    def memory_explained(self) -> Iterator[None]:
        """Turns an error that memory ran out into InsufficientMemoryError, whose message says what would fit."""
        free = fitting.room(self.compute, self.ranks)
        try:
            yield
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            raise InsufficientMemoryError(
                fitting.too_large(self.run.model_config, self.config, free, self.ranks)
            ) from error
