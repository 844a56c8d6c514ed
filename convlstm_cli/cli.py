"""The command line: parses, calls a public function, shows its result. Imports torch inside commands only."""

import dataclasses
import errno
import signal
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from convlstm_cli import __version__
from convlstm_cli.errors import ConvLSTMError, Interrupted, UsageError
from convlstm_cli.memory import is_out_of_memory, keep_freed_memory
from convlstm_cli.nn.config import ForecasterConfig
from convlstm_cli.options import build, check_unchanged, with_options
from convlstm_cli.presets import PRESETS, Preset, with_preset
from convlstm_cli.settings import DataConfig, EvaluateConfig, PredictConfig, TrainConfig

if TYPE_CHECKING:
    from convlstm_cli.console import ConsoleProgress
    from convlstm_cli.data import VideoData
    from convlstm_cli.run import Run
    from convlstm_cli.train import TrainResult


class Commands(TyperGroup):
    """The commands, with every error told in one message and turned into its exit code."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            message, exit_code = "interrupted; nothing was left half-written.", Interrupted.exit_code
        except ConvLSTMError as error:
            message, exit_code = str(error), error.exit_code
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of our output has gone; typer knows what to do
                raise
            message, exit_code = f"{error.filename or 'the system says'}: {error.strerror or error}", 1
        except (MemoryError, RuntimeError) as error:
            if not is_out_of_memory(error):
                raise
            message, exit_code = "out of memory; lower --batch-size, --size or --hidden.", 1
        from convlstm_cli import console

        console.ConsoleProgress.clear()
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

LIMITS = ("epochs", "max_time", "max_steps")

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
    from convlstm_cli import console, inspection, views
    from convlstm_cli import train as training
    from convlstm_cli.run import new_folder

    keep_freed_memory()
    progress = console.ConsoleProgress(quiet, verbose)
    options = _with_preset(context, preset, options)
    config = build(TrainConfig, options)
    if resume and dry_run:
        raise UsageError("--dry-run goes with a new run; convlstm inspect RUN tells about one that has begun.")
    if resume and (begun := _begun(output)) is not None:
        result = _resume(context, begun, config, folders, size, options, progress)
    else:
        if not folders:
            raise UsageError("train needs a FOLDER of videos; see convlstm train --help.")
        data, model = _prepare(folders, output, size, config, options, progress)
        if dry_run:
            plan = inspection.plan(data, model, config)
            console.show_json(plan) if json else console.show(*views.plan_view(plan))
            return
        folder = output or new_folder(folders[0])
        with console.stop_on_signals() as should_stop:
            result = training.train(data, model, config, folder, progress=progress, should_stop=should_stop)

    folder = result.run.folder
    if json:
        console.show_json({"run": str(folder), **(result.run.read_json("test.json") or {})})
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
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Write the next frames of videos to disk."""
    from convlstm_cli import console, views
    from convlstm_cli import predict as prediction

    config = build(PredictConfig, options)
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
    for source, outcome in prediction.predict(inputs, run, folder, config, progress):
        if isinstance(outcome, ConvLSTMError):
            failures.append({"source": str(source), "error": str(outcome)})
            console.tell_error(str(outcome))
        else:
            forecasts.append(dataclasses.asdict(outcome))
            if not json:
                console.show(views.forecast_line(outcome))
    if json:
        console.show_json({**told, "forecasts": forecasts, "failures": failures})
    if forecasts:
        progress.note(f"wrote {len(forecasts)} forecast{'s' * (len(forecasts) > 1)} into {folder}")
    if failures:
        raise typer.Exit(1)


@app.command()
@with_options(VIDEOS, NETWORK, TRAINING, without="peephole")
def compare(
    context: typer.Context,
    folders: Folders = None,
    output: Output = None,
    arms: Annotated[str, typer.Option(help="Peephole kinds to compare: two or three of none, channel and full.")] = (
        "channel,none"
    ),
    preset: UsePreset = "small",
    size: Size = "64",
    quiet: Quiet = False,
    verbose: Verbose = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Train with and without peepholes, matched in everything else, and compare."""
    from convlstm_cli import compare as comparison
    from convlstm_cli import console, views
    from convlstm_cli.run import new_folder

    keep_freed_memory()
    if not folders:
        raise UsageError("compare needs a FOLDER of videos; see convlstm compare --help.")
    kinds: list[Any] = [kind.strip() for kind in arms.split(",")]
    comparison.check_arms(kinds)
    progress = console.ConsoleProgress(quiet, verbose)
    options = _with_preset(context, preset, options)
    config = build(TrainConfig, options)
    data, model = _prepare(folders, output, size, config, options, progress)
    folder = output or new_folder(folders[0], "compare")
    with console.stop_on_signals() as should_stop:
        result = comparison.compare(
            data, model, config, folder, peepholes=kinds, progress=progress, should_stop=should_stop
        )
    if json:
        console.show_json(result.to_dict())
    else:
        console.show(*views.comparison_view(result.to_dict()))
        progress.note(f"wrote {folder} (comparison.json, comparison.png, comparison.webm, a run for each arm)")


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
    from convlstm_cli import console, scorecard, views
    from convlstm_cli import evaluate as evaluation
    from convlstm_cli.ensemble import open_members
    from convlstm_cli.run import Run

    config = build(EvaluateConfig, options)
    members = [path for path in others or () if Run.is_run(path)]
    folders = [str(path) for path in others or () if path not in members]
    runs = open_members([run, *members])
    if output is not None:
        scorecard.check_free(output)  # before anything is computed
    progress = console.ConsoleProgress(quiet, verbose)
    report = evaluation.evaluate(runs, folders, config, progress)
    folder = output or scorecard.free_folder(run)
    scorecard.write_scorecard(report, folder)
    console.show_json(report.to_dict()) if json else console.show(*views.evaluation_view(report.to_dict()))
    progress.note(
        f"wrote {folder} (evaluation.json, scores.csv, report.html, by_lead_time.png, worst.png, best.png)\n"
        f"next: convlstm predict VIDEO {'-m' if len(runs) == 1 else '--ensemble'} "
        f"{' '.join(str(member.folder) for member in runs)}"
    )


@app.command(name="inspect")
@with_options(VIDEOS)
def inspect_(
    path: Annotated[Path, typer.Argument(help="A video, a folder of videos, or a run.", metavar="VIDEO|FOLDER|RUN")],
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
    from convlstm_cli import console, inspection, views
    from convlstm_cli.data import prepare
    from convlstm_cli.run import Run
    from convlstm_cli.video.geometry import parse_size
    from convlstm_cli.video.library import find_videos

    is_run = (path / "config.json").exists() and (path / "resume.pt").exists()
    if is_run or (path / "comparison.json").exists():  # of a comparison, Run.open says which runs it holds
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
    from convlstm_cli import console
    from convlstm_cli.explain import explain as explanation_of
    from convlstm_cli.explain import render

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
    from convlstm_cli import console, views
    from convlstm_cli.info import gather

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
    from convlstm_cli import device
    from convlstm_cli.data import prepare
    from convlstm_cli.run import check_free
    from convlstm_cli.train import check_options
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
    for problem in data.library.problems:
        progress.note(f"not used: {problem.path}: {problem.reason}")
    return data, dataclasses.replace(model, channels=data.channels)


def _resume(
    context: typer.Context,
    run: "Run",
    config: TrainConfig,
    folders: list[Path] | None,
    size: str,
    options: dict[str, Any],
    progress: "ConsoleProgress",
) -> "TrainResult":
    """Goes on with a run; options given on the command line must agree with its record, or be free to change."""
    from convlstm_cli import console, data
    from convlstm_cli import train as training
    from convlstm_cli.video.geometry import parse_size

    explicit = {name for name in context.params if _was_given(context, name)}
    if "preset" in explicit:  # what it leaves at the defaults counts too
        explicit |= {name for preset in PRESETS.values() for name in preset}
    recorded = run.config["data"]["settings"]
    height, width = parse_size(size) if "size" in explicit else (recorded["height"], recorded["width"])
    given = build(DataConfig, options, folders=tuple(map(str, folders or ())), height=height, width=width)
    if folders and sorted(given.folders) != sorted(recorded["folders"]):
        raise UsageError(
            f"FOLDER is {', '.join(given.folders)} and {run.folder} was begun with "
            f"{', '.join(recorded['folders'])}; leave it out to go on."
        )
    if [height, width] != [recorded["height"], recorded["width"]]:
        raise UsageError(
            f"--size is {size} and {run.folder} was begun with {recorded['height']}x{recorded['width']}; leave it out."
        )
    check_unchanged(given, recorded, explicit)
    check_unchanged(
        build(ForecasterConfig, options, height=height, width=width, channels=1),
        run.config["model"],
        explicit,
    )
    changed = {name: getattr(config, name) for name in CHANGEABLE if name in explicit}
    if explicit & set(LIMITS):  # a limit that is given replaces all that were recorded
        changed |= {name: getattr(config, name) for name in LIMITS}
    check_unchanged(config, {**run.config["training"], **changed}, explicit)
    config = dataclasses.replace(run.train_config, **changed)
    model = run.model_config
    progress.note(f"going on with {run.folder}")
    videos = data.restore(run.config["data"], model.input_frames, model.horizon, progress.indexing)
    progress.finished()
    with console.stop_on_signals() as should_stop:
        return training.resume(run, videos, config=config, progress=progress, should_stop=should_stop)


def _with_preset(context: typer.Context, preset: Preset, options: dict[str, Any]) -> dict[str, Any]:
    return with_preset(preset, options, {name for name in options if _was_given(context, name)})


def _was_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name != "DEFAULT"


def _begun(output: Path | None) -> "Run | None":
    """The run that --resume means; None where -o names a run that has not begun yet."""
    from convlstm_cli.run import Run, newest

    if output is not None and not (output / "config.json").exists():
        return None
    return Run.open(output or newest(trained=False))


def _run(model: Path | None) -> "Run":
    from convlstm_cli.run import Run, newest

    return Run.open(newest(trained=True) if model is None else model)


def _ensemble(inputs: list[Path], given: list[Path], model: Path | None) -> tuple[list[Path], "list[Run]", str]:
    """The inputs that are videos, the runs that --ensemble means, and a name for their forecasts."""
    from convlstm_cli.ensemble import open_members
    from convlstm_cli.run import Run

    if model is not None:
        raise UsageError("-m and --ensemble cannot both say what forecasts; name every run with --ensemble.")
    videos = [path for path in inputs if not Run.is_run(path)]
    if not videos:
        raise UsageError("predict needs an INPUT to forecast beside the runs; see convlstm predict --help.")
    members = [*given, *(path for path in inputs if Run.is_run(path))]
    first, *others = (path.resolve().name for path in members)
    name = "+".join((first, *others))
    return videos, open_members(members), name if len(name) <= LONGEST_NAME else f"{first}+{len(others)}-more"
