"""What a comparison compares: values of one option, the recorded settings of runs, or existing runs, not retrained."""

from collections.abc import Sequence
from pathlib import Path

from convlstm_cli import compare
from convlstm_cli.cli.options import flag_of
from convlstm_cli.cli.preparing import prepare, prepare_videos
from convlstm_cli.cli.request import Request
from convlstm_cli.comparing.config import CompareConfig
from convlstm_cli.comparing.plan import Arm
from convlstm_cli.compute import device
from convlstm_cli.errors import UsageError
from convlstm_cli.forecasting.ensemble import open_members
from convlstm_cli.progress import Progress
from convlstm_cli.runs.folders import check_free
from convlstm_cli.runs.run import Run
from convlstm_cli.training.initial import check_there
from convlstm_cli.video.data import VideoData

OF_TRAINED = frozenset({"folders", "output", "device", "precision", "batch_size", "quiet", "verbose", "json"})
"""Options and arguments that a comparison of existing runs uses."""


def new_arms(config: CompareConfig, request: Request, progress: Progress) -> tuple[VideoData, list[Arm]]:
    """The videos and the arms of a comparison that trains.

    Raises UsageError where --arms is neither kinds of peephole nor runs, or other options do not go with it or --vary.
    """
    training = request.training
    if "arms" in request.given and config.vary is not None:
        raise UsageError("--arms and --vary both say what to compare; leave one out.")
    for name in config.devices:  # before any video is decoded
        device.choose(name, training.precision)
    runs = compare.named_runs(config.arms) if config.vary is None else []
    if not runs:
        arms = _varied_arms(config, request)
        _check_starts(arms)
        data, _ = prepare(request, progress)
        return data, arms
    explicit = request.explicit(config)
    arms = compare.recorded_arms(runs, training, explicit)
    _check_starts(arms)
    if request.output is not None:
        check_free(request.output)
    data = prepare_videos(compare.recorded_data(runs[0], request.folders, explicit), arms[0].model, progress)
    return data, arms


def _check_starts(arms: Sequence[Arm]) -> None:
    """Raises UsageError or RunError for weights to start from that cannot be read, before any video is decoded."""
    for arm in arms:
        check_there(arm.training.init)


def _varied_arms(config: CompareConfig, request: Request) -> list[Arm]:
    """The arms of --vary, or of kinds of peephole; `compare` gives the networks as many channels as the videos have."""
    check_varied(config, request)
    variation = config.variation
    assert variation is not None  # runs are named otherwise
    return compare.varied_arms(variation, request.model(*request.frame_size()), request.training)


def check_varied(config: CompareConfig, request: Request) -> None:
    """Raises UsageError where the option that the arms differ in is given for all of them."""
    variation = config.variation
    option = "" if variation is None else variation.option.replace("-", "_")
    if option in request.given and "preset" not in request.given:  # a preset gives more than was typed
        if config.vary is None:
            raise UsageError(
                f"{flag_of(option)} differs from arm to arm: --arms {','.join(config.arms)} are the kinds that are "
                "compared; give those that you want, or another option to --vary."
            )
        raise UsageError(f"{flag_of(option)} and --vary {config.vary} both say what each arm has; leave one out.")


def trained_runs(paths: Sequence[Path], trained: Sequence[Path], request: Request) -> list[Run]:
    """The existing runs to compare; a comparison stands for all its runs.

    Raises UsageError where one of the paths is not a run, or an option was given that only training uses.
    """
    for path in paths:
        if path not in trained:
            raise UsageError(
                f"{path}: is no run, and {trained[0]} is one; compare takes FOLDERs of videos to train on, or RUNs."
            )
    if useless := sorted(request.given - OF_TRAINED):
        raise UsageError(
            f"{flag_of(useless[0])} goes with a FOLDER to train on, and these runs are trained; leave it out."
        )
    return open_members(trained)
