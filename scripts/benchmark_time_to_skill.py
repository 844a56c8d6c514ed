"""How soon ours is as good as a plain PyTorch ConvLSTM after its whole training, and how much better in equal time.

.venv/bin/python scripts/benchmark_time_to_skill.py --mnist FOLDER --minutes 20 --json -o OUT
.venv/bin/python scripts/benchmark_time_to_skill.py --videos sample_data --minutes 5

Three trainings take turns on one machine: the rival for --minutes (MSE, Adam at 1e-3), ours for --minutes, and ours
with a learning rate schedule that ends after --share of them. Ours is `convlstm train --preset mse`, since MSE is what
the rival minimises and what is measured; `--preset small` is what `convlstm train` does by default. The steps of both
are timed in turn first, and minutes are turned into steps. `time_ratio` is the training time at which ours first has at
most the rival's last validation MSE, over --minutes; each training is looked at --curve times. `mse_ratio` is the test
MSE of ours over the rival's after --minutes. Ctrl-C and SIGTERM save; a call with the same options resumes.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from bench.terminal import say, target
from convlstm_cli.cli.console import stop_on_signals
from convlstm_cli.compute import memory
from convlstm_cli.errors import ConvLSTMError, Interrupted, UsageError
from convlstm_cli.files import write_text
from moving_mnist import digits, settings
from moving_mnist.command_line import options_of
from moving_mnist.planning import describe_machine, plan
from moving_mnist.settings import Settings
from moving_mnist.training import Clips, Say, ShouldStop, Source
from time_to_skill import race
from time_to_skill.folder import FolderClips

SOON, BETTER = 1 / 8, 0.72
"""Targets of the two ratios on Moving MNIST."""


def main() -> int:
    options = parser().parse_args()
    memory.keep_freed_memory()  # as `convlstm train` does; the rival benefits too
    try:
        with stop_on_signals() as asked:
            found = run(options, asked, say)
    except Interrupted as stopped:
        say(f"{stopped}; the same options resume")
        return stopped.exit_code
    except ConvLSTMError as error:
        say(f"error: {error}")
        return error.exit_code
    write_text(options.output / "result.json", json.dumps(found, indent=2, allow_nan=False) + "\n")
    print(
        json.dumps(found, indent=2, allow_nan=False) if options.json else text(found, moving_mnist=not options.videos)
    )
    say(f"wrote {options.output / 'result.json'}")
    return 0


def parser() -> argparse.ArgumentParser:
    """The options of benchmark_moving_mnist.py that hold here, and this benchmark's own."""
    made = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[options_of(None, add_help=False)],
        conflict_handler="resolve",
    )
    made.set_defaults(
        output=Path("runs/time-to-skill"), preset="mse", curve=20, validation_sequences=200, test_sequences=1000
    )
    made.add_argument("--videos", type=Path, metavar="FOLDER", help="videos in place of Moving MNIST, in grey")
    made.add_argument("--share", type=float, default=SOON, help="share of --minutes of the short training of ours")
    made.add_argument("--json", action="store_true", help="print the result as JSON")
    return made


def run(options: argparse.Namespace, should_stop: ShouldStop, say: Say) -> dict[str, Any]:
    """Plans, trains in turns, and tests; resumes where an earlier call stopped."""
    if not 0 < options.share <= 1:
        raise UsageError(f"--share is {options.share}; give a share above 0 and up to 1.")
    chosen = settings.of_options(options)
    if set(chosen.systems) != set(settings.SYSTEMS):
        raise UsageError("--systems: this benchmark trains both systems; leave it out.")
    source, digest, test_clips, chosen = _clips(options, chosen)
    planned = plan(options.output, chosen, digest, source, should_stop, say)
    trained = race.trainings(chosen, planned["steps"], options.share, source, options.output)
    race.run(trained, should_stop, say)
    found = race.result(trained, planned["step_seconds"], source, test_clips, options.output, should_stop, say)
    return {**found.to_dict(), "minutes": chosen.minutes, "machine": describe_machine(chosen)}


def _clips(options: argparse.Namespace, chosen: Settings) -> tuple[Clips, int, int, Settings]:
    """The clips, a checksum of them, how many test, and the settings with the number of validation clips there are."""
    if options.videos is None:
        mnist = digits.read(options.mnist)
        return Source(mnist, chosen), mnist.digest, options.test_sequences, chosen
    clips = FolderClips(options.videos, chosen)
    return clips, clips.digest, clips.test_clips, clips.fitting(chosen)


def text(found: dict[str, Any], *, moving_mnist: bool) -> str:
    """The two ratios in words, with the targets where they are set."""
    ratio, (low, high) = found["time_ratio"], found["mse_interval"]
    soon = "never within the training" if ratio is None else f"{ratio:.3f} of the rival's time ({found['reached_by']})"
    lines = [
        f"as good as the rival's end: {soon}",
        f"test MSE of ours / rival after {found['minutes']:g} minutes: {found['mse_ratio']:.3f} "
        f"({low:.3f} to {high:.3f})",
    ]
    if moving_mnist:
        lines[0] += f"; {target(ratio is not None and ratio <= SOON, f'at most {SOON:g}')}"
        lines[1] += f"; {target(found['mse_ratio'] <= BETTER, f'at most {BETTER:g}')}"
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
