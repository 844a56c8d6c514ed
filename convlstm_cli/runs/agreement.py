"""What several runs must have alike for their forecasts to be of the same frames."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from convlstm_cli.runs.run import Run
from convlstm_cli.video.colour import colour_name

TRAITS: Mapping[str, Callable[[Run], object]] = {
    "--size": lambda run: f"{run.geometry.height}x{run.geometry.width}",
    "--fit": lambda run: run.geometry.fit,
    "--colour": lambda run: run.config["data"]["settings"]["colour"],
    "--stride": lambda run: run.config["data"]["settings"]["stride"],
    "--every": lambda run: run.pace.every_option,
    "--input-frames": lambda run: run.model_config.input_frames,
    "--frames": lambda run: run.model_config.horizon,
    "--range": lambda run: "that of the frames" if run.values is None else run.values.describe(most=None),
    "--input-only": lambda run: (
        ",".join(f"{each.channel} (known ahead)" if each.known else str(each.channel) for each in run.guides) or "none"
    ),
    "frames in": lambda run: "colour" if run.model_config.channels == 3 else colour_name(run.model_config.channels),
}
"""What runs can agree or differ in, by its name in messages: the option that sets it, where there is one."""


def first_difference(runs: Sequence[Run], traits: Iterable[str]) -> str | None:
    """The first of the `TRAITS` named in which some run differs from the first run.

    Returns the difference in words, such as "runs/a has --fit pad and runs/b has --fit crop"; None where all agree.
    Raises RunError for a run whose config.json does not describe its frames.
    """
    traits = tuple(traits)
    for other in runs[1:]:
        for trait in traits:
            ours, others = TRAITS[trait](runs[0]), TRAITS[trait](other)
            if ours != others:
                return f"{runs[0].folder} has {trait} {ours} and {other.folder} has {trait} {others}"
    return None
