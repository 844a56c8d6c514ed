"""From the trained arms of a comparison to what it found: scores, differences, anatomy, verdict, and their files."""

import csv
import itertools
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from convlstm_cli.comparing.anatomy import anatomy, conclusions
from convlstm_cli.comparing.significance import arm_interval, compare_arms
from convlstm_cli.comparing.verdict import verdict
from convlstm_cli.compute.device import Compute
from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import Interrupted
from convlstm_cli.evaluate import PICTURED_SIDE
from convlstm_cli.files import replacing, write_text
from convlstm_cli.forecasting.inference import forecast_members, to_float
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.nn.forecaster import EncoderForecaster, parameter_count
from convlstm_cli.progress import Progress
from convlstm_cli.reporting.comparison_page import ComparedClip, write_comparison_report
from convlstm_cli.reporting.pictures import thumbnail
from convlstm_cli.reporting.styles import system_headings, system_labels
from convlstm_cli.runs.comparisons import SUMMARY
from convlstm_cli.runs.run import Run
from convlstm_cli.scoring.baselines import BASELINES
from convlstm_cli.scoring.bootstrap import difference_interval
from convlstm_cli.scoring.evaluation import COPYING, evaluate_clips
from convlstm_cli.scoring.metrics import definitions, finite
from convlstm_cli.scoring.scores import Scores
from convlstm_cli.training.memory import training_memory
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.clips import ClipDataset

OnPart = Callable[[int, int], None]

SHOWN_BASELINES = ("persistence", "optical_flow")
NOT_COMPARED = ("seed", "device", "save_every", "checkpoint_every")
"""Settings of a training that change nothing of what it gives, and the seed, which all arms share."""


@dataclass(frozen=True)
class TrainedArm:
    """An arm with a run for each seed."""

    name: str
    runs: tuple[Run, ...]
    step_seconds: float | None = None

    @property
    def model(self) -> ForecasterConfig:
        """The network, the same for all seeds."""
        return self.runs[0].model_config

    @property
    def settings(self) -> dict[str, Any]:
        """All that may tell it from another arm."""
        return settings_of(self.runs[0])


@dataclass(frozen=True)
class Case:
    """What is to be judged."""

    folder: Path
    arms: tuple[TrainedArm, ...]
    """The first is what the others are compared with."""
    seeds: tuple[int, ...]
    clips: ClipDataset
    """Of the test."""
    input_frames: int
    """Frames of a clip that are read; the others are forecast."""
    batch_size: int
    about: dict[str, Any]
    """What the summary says of how the runs came about: `folder`, `kind`, `match` and `settings`."""
    warnings: tuple[str, ...] = ()
    extended: bool = False
    """Seeds were added after a result was seen."""


def settings_of(run: Run) -> dict[str, Any]:
    """All settings of data, network and training that may tell a run from one of another arm."""
    training = asdict(train_config(run))
    return {
        **run.config["data"]["settings"],
        **asdict(run.model_config),
        **{name: training[name] for name in training if name not in NOT_COMPARED},
    }


def judge(
    case: Case, compute: Compute, progress: Progress, should_stop: Callable[[], bool], again: str
) -> dict[str, Any]:
    """Scores every run on the test clips, and writes summary.json, metrics.csv and report.html.

    Returns the summary; its parts are those of the report.

    Raises:
        OutputError: a file cannot be written.
        Interrupted: when asked to stop, with `again`, which says how to go on.
    """

    def on_part(done: int, total: int) -> None:
        progress.validating(done, total)
        if should_stop():
            raise Interrupted(f"interrupted while scoring; {again}")

    scores, baselines = _score(case, compute, on_part)
    names = [name for name, _ in case.clips.clips]
    mse = {arm: _values(of_seeds, "mse") for arm, of_seeds in scores.items()}
    reference = case.arms[0].name
    differences = compare_arms(mse, reference, names)
    intact = {arm: values.mean(axis=(1, 2)).tolist() for arm, values in mse.items()}
    loaders = {arm.name: [_loader(run, compute) for run in arm.runs] for arm in case.arms}
    found = anatomy(loaders, case.clips, compute, case.batch_size, intact, on_part, case.input_frames).to_dict()
    found["conclusions"] = conclusions(found)
    channels, height, width = case.clips[0].shape[1:]
    summary: dict[str, Any] = {
        **case.about,
        "reference": reference,
        "seeds": list(case.seeds),
        "input_frames": case.input_frames,
        "horizon": case.clips.clip_frames - case.input_frames,
        "height": height,
        "width": width,
        "channels": channels,
        "videos": [
            {"video": video.name, "path": str(video.path), "clips": names.count(video.name)}
            for video in case.clips.library.videos
            if video.name in names
        ],
        "clips": len(names),
        "arms": [_arm_summary(arm, case, scores[arm.name], names) for arm in case.arms],
        "baselines": {name: of_baseline.to_dict() for name, of_baseline in baselines.items()},
        "differences": {
            arm: {**difference.to_dict(), "interval_of_these_trainings": _over_videos(mse[arm], mse[reference], names)}
            for arm, difference in differences.items()
        },
        "verdict": verdict(reference, differences, _in_words(case.arms), extended=case.extended),
        "anatomy": found,
        "warnings": [*case.warnings, *_warnings(case, scores, baselines)],
        "definitions": definitions(),
        "compute": {"device": str(compute.device), "precision": compute.precision},
        "versions": versions(),
    }
    text = json.dumps(summary, indent=2, allow_nan=False) + "\n"
    summary = json.loads(text)  # with lists for tuples, as everybody else will read it
    with replacing(case.folder / "metrics.csv") as partial, partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(_rows(case, scores, baselines))
    write_comparison_report(case.folder, summary, _compared_clips(case, mse, compute))
    write_text(case.folder / SUMMARY, text)  # last, since it says that the comparison is finished
    progress.finished()
    return summary


def unique_names(names: Sequence[str]) -> list[str]:
    """Names for arms, numbered where one is taken; those of other rows of a picture are."""
    taken = {"input", "truth", "model", *BASELINES, *system_headings().values(), *system_labels().values()}
    unique = []
    for name in names:
        numbered = (f"{name}-{number}" for number in itertools.count(2))
        free = next(candidate for candidate in itertools.chain((name,), numbered) if candidate not in taken)
        taken.add(free)
        unique.append(free)
    return unique


def _score(case: Case, compute: Compute, on_part: OnPart) -> tuple[dict[str, list[Scores]], dict[str, Scores]]:
    """Scores of every arm's runs, in the order of the seeds, and of the baselines."""
    scores: dict[str, list[Scores]] = {}
    baselines: dict[str, Scores] = {}
    total, done = sum(len(arm.runs) for arm in case.arms), 0
    for arm in case.arms:
        scores[arm.name] = []
        for run in arm.runs:
            first = done * len(case.clips)
            evaluation = evaluate_clips(
                run.load_model(compute.device),
                case.clips,
                compute,
                case.batch_size,
                lambda clips, _all, first=first: on_part(first + clips, total * len(case.clips)),  # type: ignore[misc]
                baselines.get("persistence"),
                baselines=COPYING if baselines else BASELINES,
                input_frames=case.input_frames,
            )
            baselines = baselines or evaluation.baselines
            scores[arm.name].append(evaluation.model)
            done += 1
    return scores, baselines


def _over_videos(
    arm: NDArray[np.float64], reference: NDArray[np.float64], videos: Sequence[str]
) -> list[float | None] | None:
    ends = difference_interval(arm, reference, videos)
    return None if ends is None else [finite(end) for end in ends]


def _in_words(arms: Sequence[TrainedArm]) -> dict[str, str]:
    """What sentences call the arms that are named after their peepholes."""
    words = {
        "none": "the network without peepholes",
        "channel": "the network with channel peepholes",
        "full": "the network with full peepholes",
    }
    return {arm.name: words[arm.name] for arm in arms if arm.name == arm.model.peephole}


def _values(of_seeds: Sequence[Scores], metric: str) -> NDArray[np.float64]:
    """(seeds, clips, lead times)."""
    return np.stack([scores.per_clip(metric) for scores in of_seeds])


def _loader(run: Run, compute: Compute) -> Callable[[], EncoderForecaster]:
    return lambda: run.load_model(compute.device)


def _arm_summary(arm: TrainedArm, case: Case, of_seeds: Sequence[Scores], videos: Sequence[str]) -> dict[str, Any]:
    settings = [other.settings for other in case.arms]
    differs = sorted(name for name in arm.settings if any(other.get(name) != arm.settings[name] for other in settings))
    training = train_config(arm.runs[0])
    intervals = {metric: arm_interval(_values(of_seeds, metric), videos) for metric in ("mse", "ssim")}
    runs: list[dict[str, Any]] = []
    for seed, run, scores in zip(case.seeds, arm.runs, of_seeds, strict=True):
        history, test = run.read_metrics(), run.read_test() or {}
        runs.append(
            {
                "seed": train_config(run).seed,
                "pair": seed,
                "folder": _relative(run.folder, case.folder),
                "best_epoch": test.get("best_epoch"),
                "steps": history[-1]["steps"] if history else 0,
                "seconds": test.get("seconds"),
                "mse": scores.mean_mse,
                "history": [
                    {
                        "epoch": row["epoch"],
                        "steps": row["steps"],
                        "train_loss": finite(row["train_loss"]),
                        "validation_mse": row["validation"]["model"]["mean"]["mse"],
                    }
                    for row in history
                ],
            }
        )
    return {
        "name": arm.name,
        "peephole": arm.model.peephole,
        "hidden": list(arm.model.hidden),
        "differs": {name: arm.settings[name] for name in differs},
        "parameters": parameter_count(arm.model),
        "steps": max(run["steps"] for run in runs),
        "step_seconds": arm.step_seconds,
        "memory": training_memory(arm.model, training.batch_size, training.checkpoint_every),
        "runs": runs,
        "scores": Scores.pool(of_seeds).to_dict(),
        "intervals": None if intervals["mse"] is None else intervals,
    }


def _relative(path: Path, folder: Path) -> str:
    inside = path.resolve().is_relative_to(folder.resolve())
    return str(path.resolve().relative_to(folder.resolve())) if inside else str(path)


def _warnings(case: Case, scores: dict[str, list[Scores]], baselines: dict[str, Scores]) -> Iterator[str]:
    """What makes the result say less than it seems to."""
    copying = baselines["persistence"].mean_mse
    bad = [arm for arm, of_seeds in scores.items() if Scores.pool(of_seeds).mean_mse >= copying]
    if bad:
        yield (
            f"{_listed(bad)} forecast{'s' * (len(bad) == 1)} no better than copying the last frame: a difference "
            "between forecasts that are not worth having says little. Train for longer, with --max-time or --epochs."
        )
    runs = [run for arm in case.arms for run in arm.runs]
    histories = [(run.read_metrics(), run.read_test() or {}) for run in runs]
    ends = [
        (history[0]["epoch"], test.get("best_epoch"), history[-1]["epoch"]) for history, test in histories if history
    ]
    rising = sum(best == last for _, best, last in ends)
    if 2 * rising > len(ends):
        yield (
            f"The last epoch was the best of {rising} of {len(ends)} trainings: they were still learning when they "
            "ended, and longer ones may order the arms otherwise."
        )
    at_once = sum(first == best < last for first, best, last in ends)
    if 2 * at_once > len(ends):
        yield (
            f"The first epoch was the best of {at_once} of {len(ends)} trainings: after it they learned the training "
            "videos by heart, and it is these early networks that are compared. More videos, --augment or fewer steps "
            "would help."
        )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _rows(case: Case, scores: dict[str, list[Scores]], baselines: dict[str, Scores]) -> Iterator[list[object]]:
    """The lines of metrics.csv, the first with their names. Frames and lead times count from 1."""
    metrics = ("mse", "mae", "ssim")
    yield ["system", "seed", "video", "first_frame", "lead_time", *metrics]
    systems: list[tuple[str, int | str, Scores]] = [
        (arm, seed, of_seed)
        for arm, of_seeds in scores.items()
        for seed, of_seed in zip(case.seeds, of_seeds, strict=True)
    ]
    systems += [(name, "", of_baseline) for name, of_baseline in baselines.items()]
    for system, seed, table in systems:
        columns = np.stack([table.per_clip(metric) for metric in metrics], axis=-1)  # (clips, lead times, metrics)
        for (video, start), clip in zip(case.clips.clips, columns, strict=True):
            for lead, values in enumerate(clip, start=1):
                yield [system, seed, video, start + 1, lead, *values]


def _compared_clips(case: Case, mse: dict[str, NDArray[np.float64]], compute: Compute) -> list[ComparedClip]:
    """The clips in which the arm with the lowest MSE gains most and least on the reference, and the one between."""
    reference, *others = (mse[arm.name].mean(axis=(0, 2)) for arm in case.arms)
    best = min(others, key=np.mean)
    # The smallest normal number keeps a clip that the reference forecasts exactly from dividing by nothing.
    order = np.argsort(best / np.maximum(reference, np.finfo(np.float64).tiny), kind="stable").tolist()
    positions = dict.fromkeys((order[0], order[len(order) // 2], order[-1]))
    networks = {arm.name: arm.runs[0].load_model(compute.device) for arm in case.arms}
    return [_compared_clip(position, case, networks, compute) for position in positions]


def _compared_clip(position: int, case: Case, networks: dict[str, EncoderForecaster], compute: Compute) -> ComparedClip:
    video, start = case.clips.clips[position]
    frames, truth = to_float(case.clips[position][None], compute.device).tensor_split([case.input_frames], dim=1)
    horizon = truth.shape[1]
    rows = {"input": frames, "truth": truth}
    rows |= {name: BASELINES[name].forecast(frames, horizon) for name in SHOWN_BASELINES}
    rows |= {name: forecast_members([network], frames, horizon, compute)[0] for name, network in networks.items()}
    return ComparedClip(video, start + 1, {name: thumbnail(row[0], PICTURED_SIDE) for name, row in rows.items()})
