"""The command line: parses, calls a public function, shows its result. Imports torch inside commands only."""

import dataclasses
import errno
import os
import signal
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, get_args

import typer
from typer.core import TyperGroup

from convlstm_cli import __version__
from convlstm_cli.cli.options import build, check_unchanged, option_names, with_options
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.compute.memory import is_out_of_memory, keep_freed_memory
from convlstm_cli.errors import ConvLSTMError, ElsewhereError, Interrupted, UsageError
from convlstm_cli.forecasting.config import PredictConfig
from convlstm_cli.forecasting.shards import from_environment, parse_shard
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.nn.config import ForecasterConfig, Peephole
from convlstm_cli.scoring.config import EvaluateConfig
from convlstm_cli.training.config import AUTO_BATCH, LIMITS, TrainConfig
from convlstm_cli.training.presets import PRESETS, Preset, with_preset
from convlstm_cli.training.recorded import train_config
from convlstm_cli.video.config import DataConfig

if TYPE_CHECKING:
    from convlstm_cli.cli.console import ConsoleProgress
    from convlstm_cli.comparing.plan import Arm, Plan
    from convlstm_cli.compute.distributed import Ranks
    from convlstm_cli.runs.run import Run
    from convlstm_cli.train import TrainResult
    from convlstm_cli.video.data import VideoData


class Commands(TyperGroup):
    """The commands, with every error told in one message and turned into its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            message, exit_code = "interrupted; nothing was left half-written.", Interrupted.exit_code
        except ElsewhereError as error:
            message, exit_code = "", error.exit_code
        except (UsageError, Interrupted) as error:  # the same in all processes, and told by the first
            message, exit_code = "" if _other_process() else str(error), error.exit_code
        except ConvLSTMError as error:
            message, exit_code = f"{_other_process()}{error}", error.exit_code
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has gone; typer knows what to do
                raise
            message, exit_code = f"{error.filename or 'the system says'}: {error.strerror or error}", 1
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            message, exit_code = "out of memory; lower --batch-size, --size or --hidden.", 1
        from convlstm_cli.cli import console

        console.ConsoleProgress.clear()
        if message:
            console.tell_error(message)
        raise typer.Exit(exit_code)


app = typer.Typer(
    cls=Commands,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Start with `convlstm train FOLDER`, then `convlstm predict VIDEO`.",
)

CHANGEABLE = ("epochs", "max_time", "max_steps", "patience", "device", "save_every", "checkpoint_every")
"""Training options that --resume may change: how long and where, not what."""

ANYWHERE = ("device", "save_every", "checkpoint_every")
"""Those of them that change nothing of what is trained."""

EXTENDABLE = ("seeds", "jobs", "devices")
"""Options of a comparison that --resume may change."""

RETRAINED = {*LIMITS, "seed", "device", "save_every"}
"""Training options that arms do not take from the runs that --arms names."""

LONGEST_NAME = 100
"""Letters of a folder's name that is made of the names of runs."""

VIDEOS = (DataConfig, "Videos")
NETWORK = (ForecasterConfig, "Network")
TRAINING = (TrainConfig, "Training")

Folders = Annotated[
    list[Path] | None,
    typer.Argument(metavar="FOLDER...", help="Folders of videos, or single videos.", show_default=False),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="The run folder itself; named for you if not given.")
]
Model = Annotated[Path | None, typer.Option("-m", "--model", help="Run folder; the newest under runs/ if not given.")]
Size = Annotated[
    str, typer.Option(help="Size that the network works at: N, or HEIGHTxWIDTH.", rich_help_panel="Videos")
]
UsePreset = Annotated[
    Preset,
    typer.Option(
        "--preset",
        help="Options that go together: small (the defaults), base (larger, for hours or a GPU) or paper (Shi et al. "
        "2015 as published). Options that are given count.",
    ),
]
Quiet = Annotated[bool, typer.Option("-q", "--quiet", help="Only results and errors.")]
Verbose = Annotated[bool, typer.Option("-v", "--verbose", help="A line of progress every few seconds, for logs.")]
AsJson = Annotated[bool, typer.Option("--json", help="The result as JSON on stdout.")]


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.", is_eager=True)] = False,
) -> None:
    """Forecast the next frames of your own videos with a ConvLSTM."""
    if version:
        typer.echo(f"convlstm {__version__}")
        raise typer.Exit


@app.command()
@with_options(VIDEOS, NETWORK, TRAINING)
def train(
    context: typer.Context,
    folders: Folders = None,
    output: Output = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run -o, or with the newest.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and train nothing.")] = False,
    preset: UsePreset = "small",
    size: Size = "64",
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Train on a folder of videos or image sequences."""
    from convlstm_cli import train as training
    from convlstm_cli.cli import console, inspection, views
    from convlstm_cli.compute import device
    from convlstm_cli.compute.distributed import Ranks, joined
    from convlstm_cli.runs.run import new_folder

    keep_freed_memory()
    ranks = Ranks.from_environment()
    progress = console.ConsoleProgress(quiet or not ranks.is_first, verbose)
    options = _with_preset(context, preset, options)
    config = build(TrainConfig, options)
    if resume and dry_run:
        raise UsageError("--dry-run goes with a new run; convlstm inspect RUN tells about one that has begun.")
    if resume and (begun := _begun(output)) is not None:
        result = _resume(context, begun, config, folders, size, options, ranks, progress)
    else:
        if not folders:
            raise UsageError("train needs a FOLDER of videos; see convlstm train --help.")
        compute = device.choose(config.device, config.precision, ranks)
        with joined(ranks, compute.device):
            prepare = partial(_prepare, folders, output, size, config, options, progress)
            data, model = ranks.first_of_machine(prepare)
            if dry_run:
                if ranks.is_first:
                    plan = inspection.plan(data, model, config, compute, ranks)
                    console.show_json(plan) if json else console.show(*views.plan_view(plan))
                return
            folder = ranks.of_first(output or new_folder(folders[0]))
            with console.stop_on_signals(quiet=not ranks.is_first) as should_stop:
                result = training.train(
                    data, model, config, folder, progress=progress, should_stop=should_stop, ranks=ranks
                )
    if not ranks.is_first:
        return

    folder = result.run.folder
    if json:
        console.show_json({"run": str(folder), **(result.run.read_test() or {})})
    else:
        console.show(*views.test_view(result.test.to_dict()))
        progress.note(
            f"training ended because {result.stopped}; wrote {folder} (report: {folder / 'report.html'})\n"
            f"next: convlstm predict VIDEO -m {folder}"
        )


@app.command()
@with_options((PredictConfig, "Forecast"))
def predict(
    inputs: Annotated[
        list[Path], typer.Argument(metavar="INPUT...", help="Videos, image folders, arrays, or folders of them.")
    ],
    model: Model = None,
    ensemble: Annotated[
        list[Path] | None,
        typer.Option(
            "--ensemble",
            help="Forecast with several runs instead of -m: their mean, and pictures of their spread. A comparison "
            "stands for all its runs. Give it again for each run, or name the others behind it: an INPUT that is "
            "a run or a comparison counts as one more.",
            metavar="RUN...",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of forecasts; forecasts/RUN if not given.")
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            "--shard",
            help="Take only this share of the inputs, counted from 0: 0/4 to 3/4 together are all. Under torchrun and "
            "in a Slurm array each process takes its own if not given.",
            metavar="I/N",
            show_default=False,
        ),
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Write the next frames of videos to disk.

    A forecast that is there already, whole and made from the same input, weights, settings and versions, is kept.
    """
    from convlstm_cli import predict as prediction
    from convlstm_cli.cli import console, views
    from convlstm_cli.compute.distributed import Ranks

    config = build(PredictConfig, options)
    share = from_environment(os.environ) if shard is None else parse_shard(shard)
    progress = console.ConsoleProgress(quiet, verbose)
    run: Run | list[Run]
    told: dict[str, Any]
    if ensemble:
        inputs, run, name = _ensemble(inputs, ensemble, model)
        told = {"members": [str(member.folder) for member in run]}
    else:
        run = _run(model)
        name, told = run.name, {"run": str(run.folder)}
        if model is None:
            progress.note(f"using the newest run, {run.folder}")
    forecasts, failures = [], []
    folder = output or Path("forecasts") / name
    for source, outcome in prediction.predict(inputs, run, folder, config, progress, share, Ranks.from_environment()):
        if isinstance(outcome, ConvLSTMError):
            failures.append({"source": str(source), "error": str(outcome)})
            console.tell_error(str(outcome))
        else:
            forecasts.append(outcome)
            if not json:
                console.show(views.forecast_line(outcome))
    kept = sum(forecast.kept for forecast in forecasts)
    if json:
        result = {"forecasts": [dataclasses.asdict(forecast) for forecast in forecasts], "failures": failures}
        console.show_json({**told, "shard": str(share), **result, "kept": kept})
    if kept:
        progress.note(f"kept {kept} forecast{'s' * (kept > 1)} in {folder}, made earlier from the very same")
    if len(forecasts) > kept:
        written = len(forecasts) - kept
        progress.note(f"wrote {written} forecast{'s' * (written > 1)} into {folder}")
    if failures:
        raise typer.Exit(1)


@app.command()
@with_options((CompareConfig, "Comparison"), VIDEOS, NETWORK, TRAINING, without=("peephole", "patience"))
def compare(
    context: typer.Context,
    folders: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="FOLDER...|RUN...",
            help="Folders of videos to train on, or runs that are trained, which are compared on the test videos that "
            "they share.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder of the comparison; named for you if not given.")
    ] = None,
    resume: Annotated[
        bool,
        typer.Option(
            "--resume",
            help="Go on with the comparison -o, or with the newest; with a higher --seeds, add seeds to it.",
        ),
    ] = False,
    preset: UsePreset = "small",
    size: Size = "64",
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Find out whether peepholes help: train with and without them, matched in all else, seed by seed.

    All trainings together take about 4 minutes unless --max-time, --max-steps or --epochs say otherwise; a time is that
    of the whole comparison, steps and epochs are those of each training.
    """
    from convlstm_cli import compare as comparison
    from convlstm_cli.cli import console, views
    from convlstm_cli.comparing import recorded
    from convlstm_cli.runs.run import Run, new_folder

    _check_alone("compare")
    keep_freed_memory()
    progress = console.ConsoleProgress(quiet, verbose)
    options = _with_preset(context, preset, options)
    config, training = build(CompareConfig, options), build(TrainConfig, options)
    explicit = _explicit(context)
    trained = [path for path in folders or () if Run.is_run(path)]
    going_on = None if trained or not resume else _begun_comparison(output)
    if not folders and going_on is None:
        raise UsageError("compare needs a FOLDER of videos, or RUNs that are trained; see convlstm compare --help.")
    if trained:
        runs = _runs_to_compare(folders or [], trained, explicit)
        folder = output or new_folder(trained[0], "compare")
        scoring = EvaluateConfig(
            batch_size=training.batch_size or EvaluateConfig.batch_size,
            device=training.device,
            precision=training.precision,
        )
        with console.stop_on_signals() as should_stop:
            summary = recorded.compare_runs(runs, folder, scoring, progress=progress, should_stop=should_stop)
    elif going_on is not None:
        plan, data = _plan_to_go_on(going_on, explicit, config, training, folders, size, options, progress)
        with console.stop_on_signals() as should_stop:
            summary = comparison.resume(plan, data, progress=progress, should_stop=should_stop)
    else:
        data, arms = _arms(folders or [], output, size, config, training, options, explicit, progress)
        folder = output or new_folder((folders or [])[0], "compare")
        with console.stop_on_signals() as should_stop:
            summary = comparison.compare(data, arms, config, folder, progress=progress, should_stop=should_stop)
    if json:
        console.show_json(summary)
    else:
        console.show(*views.comparison_view(summary))
        written = Path(summary["folder"])
        progress.note(f"wrote {written} (report.html, summary.json, metrics.csv)\nnext: open {written / 'report.html'}")


@app.command()
@with_options((EvaluateConfig, "Evaluation"))
def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder to score.")],
    others: Annotated[
        list[Path] | None,
        typer.Argument(
            metavar="RUN|FOLDER",
            help="More runs, for the mean of all their forecasts; then folders of videos, of which everything is "
            "scored that was not trained on. The test videos of RUN if no FOLDER is given.",
            show_default=False,
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to make; RUN/evaluation-1, -2, ... if not given.")
    ] = None,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Score a run beside what needs no training: copying, the linear trend, optical flow."""
    from convlstm_cli import evaluate as evaluation
    from convlstm_cli.cli import console, views
    from convlstm_cli.files import check_absent
    from convlstm_cli.forecasting.ensemble import open_members
    from convlstm_cli.reporting import scorecard
    from convlstm_cli.runs.run import Run

    _check_alone("evaluate")
    config = build(EvaluateConfig, options)
    members = [path for path in others or () if Run.is_run(path)]
    folders = [str(path) for path in others or () if path not in members]
    runs = open_members([run, *members])
    if output is not None:
        check_absent(output)  # before anything is computed
    progress = console.ConsoleProgress(quiet, verbose)
    report = evaluation.evaluate(runs, folders, config, progress)
    folder = output or scorecard.free_folder(run)
    scorecard.write_scorecard(report, folder)
    console.show_json(report.to_dict()) if json else console.show(*views.evaluation_view(report))
    progress.note(
        f"wrote {folder} (evaluation.json, scores.csv, report.html, by_lead_time.png, worst.png, best.png)\n"
        f"next: convlstm predict VIDEO {'-m' if len(runs) == 1 else '--ensemble'} "
        f"{' '.join(str(member.folder) for member in runs)}"
    )


@app.command(name="inspect")
@with_options(VIDEOS)
def inspect_(
    path: Annotated[
        Path, typer.Argument(help="A video, a folder of videos, a run or a comparison.", metavar="VIDEO|FOLDER|RUN")
    ],
    size: Size = "64",
    frames: Annotated[
        int, typer.Option(help="Frames to forecast.", rich_help_panel="Videos")
    ] = ForecasterConfig.horizon,
    input_frames: Annotated[
        int, typer.Option(help="Frames to read before forecasting.", rich_help_panel="Videos")
    ] = ForecasterConfig.input_frames,
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Look into a video, a folder of videos, or a run."""
    from convlstm_cli.cli import console, inspection, views
    from convlstm_cli.runs.comparisons import SUMMARY, is_comparison
    from convlstm_cli.runs.record import damaged
    from convlstm_cli.runs.run import Run
    from convlstm_cli.video.data import prepare
    from convlstm_cli.video.geometry import parse_size
    from convlstm_cli.video.library import find_videos

    if is_comparison(path):
        found = inspection.inspect_comparison(path)
        with damaged(path / SUMMARY, "convlstm compare --resume writes it anew"):
            view = views.comparison_view(found) if "verdict" in found else views.unfinished_view(found)
    elif Run.is_run(path):
        found = inspection.inspect_run(Run.open(path))
        view = views.run_view(found)
    elif path.is_dir() and [video for _, video in find_videos([path])] != [path]:
        height, width = parse_size(size)
        config = build(DataConfig, options, folders=(path,), height=height, width=width)
        data = prepare(config, input_frames, frames, console.ConsoleProgress(quiet, verbose).indexing)
        found = inspection.inspect_data(data)
        view = views.data_view(found)
    else:
        found = inspection.inspect_video(path)
        view = views.video_view(found)
    console.show_json(found) if json else console.show(*view)


@app.command()
@with_options((ExportConfig, "Export"))
def export(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="The run folder whose network is exported.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to make; RUN/export-1, -2, ... if not given.")
    ] = None,
    quiet: Quiet = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Write a run's network for programs without this package: torch.export and ONNX, with an example that runs it."""
    from convlstm_cli import export as exporting
    from convlstm_cli.cli import console, views
    from convlstm_cli.runs.run import Run

    _check_alone("export")
    config = build(ExportConfig, options)
    progress = console.ConsoleProgress(quiet)
    folder = output or exporting.free_folder(run)
    result = exporting.export(Run.open(run), folder, config, progress)
    console.show_json(dataclasses.asdict(result)) if json else console.show(*views.export_view(result))
    progress.note(
        f"wrote {folder} ({', '.join(result.files)})\nnext: python {folder / 'forecast.py'} FRAMES.npy FORECAST.npy"
    )


@app.command()
@with_options(NETWORK)
def explain(
    context: typer.Context,
    model: Annotated[Path | None, typer.Option("-m", "--model", help="Explain the network of this run.")] = None,
    preset: UsePreset = "small",
    size: Size = "64",
    json: AsJson = False,
    **options: Any,
) -> None:
    """Print the equations of a ConvLSTM with the shapes of its weights, and which systems have which peepholes."""
    from convlstm_cli.cli import console
    from convlstm_cli.reporting.explain import explain as explanation_of
    from convlstm_cli.reporting.explain import render

    if model is None:
        from convlstm_cli.video.geometry import parse_size

        height, width = parse_size(size)
        options = _with_preset(context, preset, options)
        config = build(ForecasterConfig, options, height=height, width=width, channels=1)
    else:
        given = sorted(name for name in {*options, "preset", "size"} if _was_given(context, name))
        if given:
            raise UsageError(f"--{given[0].replace('_', '-')} and -m cannot both say what to explain; leave one out.")
        config = _run(model).model_config
    explanation = explanation_of(config)
    console.show_json(dataclasses.asdict(explanation)) if json else console.show(*render(explanation))


@app.command()
def info(json: AsJson = False) -> None:
    """Print what a bug report needs: versions, devices, OpenCV's codecs, the cache."""
    from convlstm_cli.cli import console, views
    from convlstm_cli.cli.facts import gather

    facts = gather()
    console.show_json(facts) if json else console.show(views.facts_table(facts))


def main() -> None:
    """What the `convlstm` command runs."""
    signal.signal(signal.SIGTERM, _interrupt)
    app()


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _prepare(
    folders: list[Path],
    output: Path | None,
    size: str,
    training: TrainConfig,
    options: dict[str, Any],
    progress: "ConsoleProgress",
) -> tuple["VideoData", ForecasterConfig]:
    """The videos and the network that the options ask for, for commands that train."""
    from convlstm_cli.compute import device
    from convlstm_cli.runs.run import check_free
    from convlstm_cli.train import check_options
    from convlstm_cli.video.data import prepare
    from convlstm_cli.video.geometry import parse_size

    # Before any video is decoded, so that a wrong option is told at once.
    device.choose(training.device, training.precision)
    if output is not None:
        check_free(output)
    height, width = parse_size(size)
    model = build(ForecasterConfig, options, height=height, width=width, channels=1)
    check_options(model, training)
    config = build(DataConfig, options, folders=tuple(map(str, folders)), height=height, width=width)
    data = prepare(config, model.input_frames, model.horizon, progress.indexing)
    progress.finished()
    _tell_problems(data, progress)
    return data, dataclasses.replace(model, channels=data.channels)


def _tell_problems(data: "VideoData", progress: "ConsoleProgress") -> None:
    for problem in data.library.problems:
        progress.note(f"not used: {problem.path}: {problem.reason}")
    for problem in data.library.cut_off():
        progress.note(f"{problem.path}: {problem.reason}")


def _arms(
    folders: list[Path],
    output: Path | None,
    size: str,
    config: CompareConfig,
    training: TrainConfig,
    options: dict[str, Any],
    explicit: set[str],
    progress: "ConsoleProgress",
) -> tuple["VideoData", "list[Arm]"]:
    """The videos and the arms of a new comparison: kinds of peephole, or what runs have recorded."""
    from convlstm_cli import compare
    from convlstm_cli.compute import device
    from convlstm_cli.runs.run import Run, check_free
    from convlstm_cli.video.data import prepare

    for name in config.devices:
        device.choose(name, training.precision)
    named = [name for name in config.arms if name not in get_args(Peephole)]
    if not named:
        data, model = _prepare(folders, output, size, training, options, progress)
        return data, compare.peephole_arms(config.arms, model, training)
    if not all(Run.is_run(Path(name)) for name in config.arms):
        raise UsageError(
            f"--arms is {','.join(config.arms)}; give kinds of peephole (none, channel, full) or run folders, and "
            f"{next(n for n in config.arms if not Run.is_run(Path(n)))} is no run."
        )
    if fixed := sorted(explicit & (option_names(ForecasterConfig, TrainConfig) | {"size", "preset"}) - RETRAINED):
        raise UsageError(f"--{fixed[0].replace('_', '-')} is recorded in the runs of --arms; leave it out.")
    if output is not None:
        check_free(output)
    runs = [Run.open(Path(name)) for name in config.arms]
    arms = compare.recorded_arms(runs, training)
    given = {name: options[name] for name in explicit & option_names(DataConfig)}
    settings = {**runs[0].config["data"]["settings"], "folders": tuple(map(str, folders))}
    data = prepare(
        dataclasses.replace(DataConfig(**settings), **given),
        arms[0].model.input_frames,
        arms[0].model.horizon,
        progress.indexing,
    )
    progress.finished()
    _tell_problems(data, progress)
    same = [dataclasses.replace(arm, model=dataclasses.replace(arm.model, channels=data.channels)) for arm in arms]
    return data, same


def _plan_to_go_on(
    plan: "Plan",
    explicit: set[str],
    config: CompareConfig,
    training: TrainConfig,
    folders: list[Path] | None,
    size: str,
    options: dict[str, Any],
    progress: "ConsoleProgress",
) -> tuple["Plan", "VideoData"]:
    """A comparison to go on with, perhaps with more seeds; other options must agree with its record."""
    from convlstm_cli.compute import device
    from convlstm_cli.video.data import restore

    _check_agrees(explicit, folders, size, options, plan.settings, plan.folder)
    check_unchanged(config, plan.settings["compare"], explicit - set(EXTENDABLE))
    settled = {*ANYWHERE, *(["batch_size"] if training.batch_size == AUTO_BATCH else [])}
    check_unchanged(training, plan.settings["training"], explicit - settled)
    for name in [*config.devices, *([training.device] if "device" in explicit else [])]:
        device.choose(name, training.precision)  # before it is recorded
    if "seeds" in explicit:
        plan = plan.with_seeds(config.seeds)
    where: dict[str, Any] = {name: getattr(config, name) for name in ("jobs", "devices") if name in explicit}
    if "device" in explicit:
        where.setdefault("devices", ())
    how: dict[str, Any] = {name: getattr(training, name) for name in ANYWHERE if name in explicit}
    plan = dataclasses.replace(
        plan,
        arms=tuple(dataclasses.replace(a, training=dataclasses.replace(a.training, **how)) for a in plan.arms),
        settings={**plan.settings, "compare": {**plan.settings["compare"], **where}},
    )
    progress.note(f"going on with {plan.folder}")
    model = plan.arms[0].model
    data = restore(plan.data, model.input_frames, model.horizon, progress.indexing)
    progress.finished()
    return plan, data


def _begun_comparison(output: Path | None) -> "Plan | None":
    """The comparison that --resume means; None where -o names one that has not begun yet."""
    from convlstm_cli.comparing.plan import Plan
    from convlstm_cli.runs.comparisons import is_comparison, newest

    if output is not None and not is_comparison(output):
        return None
    return Plan.read(output or newest())


def _runs_to_compare(paths: list[Path], trained: list[Path], explicit: set[str]) -> "list[Run]":
    from convlstm_cli.forecasting.ensemble import open_members

    for path in paths:
        if path not in trained:
            raise UsageError(
                f"{path}: is no run, and {trained[0]} is one; compare takes FOLDERs of videos to train on, or RUNs."
            )
    others = {"folders", "output", "device", "precision", "batch_size", "quiet", "verbose", "json"}
    if useless := sorted(explicit - others):
        raise UsageError(
            f"--{useless[0].replace('_', '-')} goes with a FOLDER to train on, and these runs are trained; leave it "
            "out."
        )
    return open_members(trained)


def _resume(
    context: typer.Context,
    run: "Run",
    config: TrainConfig,
    folders: list[Path] | None,
    size: str,
    options: dict[str, Any],
    ranks: "Ranks",
    progress: "ConsoleProgress",
) -> "TrainResult":
    """Goes on with a run; options given on the command line must agree with its record, or be free to change."""
    from convlstm_cli import train as training
    from convlstm_cli.cli import console
    from convlstm_cli.compute import device
    from convlstm_cli.compute.distributed import joined
    from convlstm_cli.video import data

    explicit = _explicit(context)
    recorded = {"data": run.config["data"]["settings"], "model": run.config["model"]}
    _check_agrees(explicit, folders, size, options, recorded, run.folder)
    changed = {name: getattr(config, name) for name in CHANGEABLE if name in explicit}
    if explicit & set(LIMITS):  # a limit that is given replaces all that were recorded
        changed |= {name: getattr(config, name) for name in LIMITS}
    if config.batch_size == AUTO_BATCH:  # which is settled for a run once and for all
        explicit = explicit - {"batch_size"}
    check_unchanged(config, {**run.config["training"], **changed}, explicit)
    config = dataclasses.replace(train_config(run), **changed)
    model = run.model_config
    progress.note(f"going on with {run.folder}")
    with joined(ranks, device.choose(config.device, config.precision, ranks).device):
        restore = partial(data.restore, run.config["data"], model.input_frames, model.horizon, progress.indexing)
        videos = ranks.first_of_machine(restore)
        progress.finished()
        with console.stop_on_signals(quiet=not ranks.is_first) as should_stop:
            return training.resume(run, videos, config=config, progress=progress, should_stop=should_stop, ranks=ranks)


def _check_agrees(
    explicit: set[str],
    folders: list[Path] | None,
    size: str,
    options: dict[str, Any],
    recorded: dict[str, dict[str, Any]],
    begun: Path,
) -> None:
    """Raises UsageError where options that were given differ from the recorded settings of data and model."""
    from convlstm_cli.video.geometry import parse_size

    settings = recorded["data"]
    height, width = parse_size(size) if "size" in explicit else (settings["height"], settings["width"])
    given = build(DataConfig, options, folders=tuple(map(str, folders or ())), height=height, width=width)
    if folders and sorted(given.folders) != sorted(settings["folders"]):
        raise UsageError(
            f"FOLDER is {', '.join(given.folders)} and {begun} was begun with "
            f"{', '.join(settings['folders'])}; leave it out to go on."
        )
    if [height, width] != [settings["height"], settings["width"]]:
        raise UsageError(
            f"--size is {size} and {begun} was begun with {settings['height']}x{settings['width']}; leave it out."
        )
    check_unchanged(given, settings, explicit)
    network = build(ForecasterConfig, options, height=height, width=width, channels=1)
    check_unchanged(network, recorded["model"], explicit)


def _other_process() -> str:
    """`process 1: ` in a process that torchrun started beside the first; nothing elsewhere."""
    rank = os.environ.get("RANK", "0")
    return f"process {rank}: " if rank != "0" and os.environ.get("WORLD_SIZE", "1") != "1" else ""


def _check_alone(command: str) -> None:
    """Raises UsageError where torchrun has started several processes, all of which would do the same."""
    from convlstm_cli.compute.distributed import Ranks

    if (world := Ranks.from_environment().world) > 1:
        raise UsageError(f"{command} works in one process, and WORLD_SIZE is {world}; start it without torchrun.")


def _explicit(context: typer.Context) -> set[str]:
    """Names of the options and arguments that were given."""
    explicit = {name for name in context.params if _was_given(context, name)}
    if "preset" in explicit:  # what it leaves at the defaults counts too
        explicit |= {name for preset in PRESETS.values() for name in preset} & set(context.params)
    return explicit


def _with_preset(context: typer.Context, preset: Preset, options: dict[str, Any]) -> dict[str, Any]:
    return with_preset(preset, options, {name for name in options if _was_given(context, name)})


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _begun(output: Path | None) -> "Run | None":
    """The run that --resume means; None where -o names a run that has not begun yet."""
    from convlstm_cli.runs.run import Run, newest

    if output is not None and not (output / "config.json").exists():
        return None
    return Run.open(output or newest(trained=False))


def _run(model: Path | None) -> "Run":
    from convlstm_cli.runs.run import Run, newest

    return Run.open(newest(trained=True) if model is None else model)


def _ensemble(inputs: list[Path], given: list[Path], model: Path | None) -> tuple[list[Path], "list[Run]", str]:
    """The inputs that are videos, the runs that --ensemble means, and a name for their forecasts."""
    from convlstm_cli.forecasting.ensemble import open_members
    from convlstm_cli.runs.run import Run

    if model is not None:
        raise UsageError("-m and --ensemble cannot both say what forecasts; name every run with --ensemble.")
    videos = [path for path in inputs if not Run.is_run(path)]
    if not videos:
        raise UsageError("predict needs an INPUT to forecast beside the runs; see convlstm predict --help.")
    members = [*given, *(path for path in inputs if Run.is_run(path))]
    runs = open_members(members)
    first, *others = (path.resolve().name for path in members)
    name = "+".join((first, *others))
    return videos, runs, name if len(name) <= LONGEST_NAME else f"{first}+{len(others)}-more"
