"""`convlstm predict`."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convlstm_cli.cli.arguments import AsJson, Model, Quiet, Verbose
from convlstm_cli.cli.options import build, with_options
from convlstm_cli.errors import ConvLSTMError, UsageError
from convlstm_cli.forecasting.config import PredictConfig

if TYPE_CHECKING:
    from convlstm_cli.progress import Progress
    from convlstm_cli.runs.run import Run


Ensemble = Annotated[
    list[Path] | None,
    typer.Option(
        "--ensemble",
        help="Forecast with several runs instead of -m: writes the mean of their forecasts, and pictures of their "
        "spread. A comparison stands for all its runs. Repeat the option for each run, or name the other runs after "
        "the first: an INPUT that is a run or a comparison joins the ensemble.",
        metavar="RUN...",
        show_default=False,
    ),
]
Share = Annotated[
    str | None,
    typer.Option(
        "--shard",
        help="Forecast only share I of N of the inputs; shares count from 0, and 0/4 to 3/4 together are all inputs. "
        "Under torchrun and in a Slurm array each process takes its own share if this is not given.",
        metavar="I/N",
        show_default=False,
    ),
]


@with_options((PredictConfig, "Forecast"))
def predict(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT", help="Videos, image folders, arrays, or folders of them.")
    ],
    model: Model = None,
    ensemble: Ensemble = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the forecasts; forecasts/RUN if not given.")
    ] = None,
    shard: Share = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Write the next frames of videos to disk.

    Without any run, the shipped weights forecast: a network that was trained on made-up motion.

    A finished forecast is kept if its input, weights, settings and versions are unchanged.
    """
    from convlstm_cli import predict as prediction
    from convlstm_cli.cli import console
    from convlstm_cli.cli.forecast_view import forecast_line
    from convlstm_cli.compute.distributed import Ranks
    from convlstm_cli.forecasting.shards import from_environment, parse_shard

    config, processes = build(PredictConfig, options), Ranks.from_environment()
    share = from_environment(os.environ) if shard is None else parse_shard(shard)
    progress = console.ConsoleProgress(quiet, verbose)
    inputs, runs, name = _runs(inputs, model, ensemble, progress)
    folder = output or Path("forecasts") / name
    run = runs if ensemble else runs[0]
    forecasts, failures = [], []
    for source, outcome in prediction.predict(inputs, run, folder, config, progress, share, processes):
        if isinstance(outcome, ConvLSTMError):
            failures.append({"source": str(source), "error": str(outcome)})
            console.show_error(str(outcome))
        else:
            forecasts.append(outcome)
            if not json:
                console.show(forecast_line(outcome))
    kept = sum(forecast.kept for forecast in forecasts)
    if json:
        used = {"runs": [str(each.folder) for each in runs]} if ensemble else {"run": str(runs[0].folder)}
        result = {"forecasts": [forecast.to_dict() for forecast in forecasts], "failures": failures}
        console.show_json({**used, "shard": str(share), **result, "kept": kept})
    if kept:
        progress.note(f"kept {_count(kept)} in {folder}: inputs, weights, settings and versions are unchanged")
    if len(forecasts) > kept:
        progress.note(f"wrote {_count(len(forecasts) - kept)} into {folder}")
    if failures:
        raise typer.Exit(1)


def _runs(
    inputs: list[Path], model: Path | None, ensemble: Sequence[Path] | None, progress: "Progress"
) -> tuple[list[Path], "list[Run]", str]:
    """The inputs that are no runs, the runs that forecast them, and the name of the folder of their forecasts."""
    from convlstm_cli.cli.chosen_run import chosen_run
    from convlstm_cli.forecasting.ensemble import name_of, open_members
    from convlstm_cli.weights.pretrained import means_run

    if not ensemble:
        run = chosen_run(model, progress)
        return inputs, [run], run.name
    if model is not None:
        raise UsageError("-m and --ensemble exclude each other; name every run with --ensemble.")
    videos = [path for path in inputs if not means_run(path)]
    if not videos:
        raise UsageError("predict needs an INPUT to forecast beside the runs; see convlstm predict --help.")
    members = [*ensemble, *(path for path in inputs if means_run(path))]
    return videos, open_members(members), name_of(members)


def _count(forecasts: int) -> str:
    return f"{forecasts} forecast{'s' * (forecasts > 1)}"
