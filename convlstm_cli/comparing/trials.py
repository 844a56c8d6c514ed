"""Makes the trainings of a comparison: one after another, or several at a time in processes of their own.

What is finished is not trained again, what was begun goes on, so a comparison can be killed and called again. All
trainings of a seed draw the same batches and the same augmentation, since both depend on the seed and the step only.
"""

from collections.abc import Callable

from convlstm_cli.comparing.plan import Plan
from convlstm_cli.comparing.processes import train_in_processes
from convlstm_cli.comparing.tally import Tally
from convlstm_cli.comparing.trial import ShareProgress, is_finished, make_trial
from convlstm_cli.errors import Interrupted
from convlstm_cli.paths import quoted
from convlstm_cli.progress import Progress
from convlstm_cli.video.data import VideoData


def train_all(plan: Plan, data: VideoData, progress: Progress, should_stop: Callable[[], bool]) -> None:
    """Makes every training of the plan that is not finished.

    Raises:
        Interrupted: after saving what goes on.
        ConvLSTMError: a training failed; the others are saved.
    """
    left = [trial for trial in plan.trials() if not is_finished(plan, trial)]
    total = len(plan.arms) * len(plan.seeds)
    tally = Tally(progress, total - len(left), total)
    if len(left) < total:
        progress.note(f"{total - len(left)} of {total} trainings are finished already")
    try:
        if plan.compare.at_once(len(left)) == 1:
            device = next(iter(plan.compare.devices), None)
            for trial in left:
                watched = ShareProgress(lambda share, trial=trial: tally.share(str(trial), share))  # type: ignore[misc]
                tally.ended(trial, make_trial(plan, trial, data, device, watched, should_stop))
        else:
            train_in_processes(plan, left, tally, should_stop)
    except Interrupted:
        raise Interrupted(
            f"interrupted, and saved; go on with: convlstm compare -o {quoted(plan.folder)} --resume"
        ) from None
    finally:
        progress.finished()
