"""What `--resume` continues; which settings it may change is for `train.resume` and `compare.resume` to say."""

from pathlib import Path

from convlstm_cli.comparing.plan import Plan
from convlstm_cli.runs import comparisons
from convlstm_cli.runs.folders import newest
from convlstm_cli.runs.run import Run


def begun_run(output: Path | None) -> Run | None:
    """The run that --resume means: `output`, or the newest; None where `output` has not begun yet."""
    if output is not None and not (output / "config.json").exists():
        return None
    return Run.open(output or newest())


def begun_comparison(output: Path | None) -> Plan | None:
    """The comparison that --resume means: `output`, or the newest; None where `output` has not begun yet."""
    if output is not None and not comparisons.is_comparison(output):
        return None
    return Plan.read(output or comparisons.newest())
