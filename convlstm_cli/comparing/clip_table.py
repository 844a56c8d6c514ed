"""metrics.csv: a row for each system, seed, test clip and lead time."""

import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from convlstm_cli.comparing.case import Case
from convlstm_cli.comparing.scored import Scored
from convlstm_cli.files import replacing
from convlstm_cli.scoring.formulae import finite
from convlstm_cli.scoring.scores import Scores

METRICS = ("mse", "mae", "ssim")


def write_clip_table(path: Path, case: Case, scored: Scored) -> None:
    """Writes the scores of every run and baseline, clip by clip. Raises OutputError where the system refuses."""
    with replacing(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(_rows(case, scored))


def _rows(case: Case, scored: Scored) -> Iterator[list[object]]:
    """The rows, first the names of the columns. Frames and lead times count from 1."""
    yield ["system", "seed", "video", "first_frame", "lead_time", *METRICS]
    systems: list[tuple[str, int | str, Scores]] = [
        (arm, seed, of_seed)
        for arm, of_seeds in scored.arms.items()
        for seed, of_seed in zip(case.seeds, of_seeds, strict=True)
    ]
    systems += [(name, "", of_baseline) for name, of_baseline in scored.baselines.items()]
    for system, seed, scores in systems:
        columns = np.stack([scores.per_clip(metric) for metric in METRICS], axis=-1)  # (clips, lead times, metrics)
        for (video, start), clip in zip(case.clips.clips, columns, strict=True):
            for lead, values in enumerate(clip, start=1):
                yield [system, seed, video, start + 1, lead, *map(finite, values)]
