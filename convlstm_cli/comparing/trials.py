"""Makes the trainings of a comparison: one after another, or several at a time in processes of their own.

What is finished is not trained again, what was begun goes on, so a comparison can be killed and called again. All
trainings of a seed draw the same batches and the same augmentation, since both depend on the seed and the step only.
"""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch

from convlstm_cli import lock
from convlstm_cli import train as training
from convlstm_cli.comparing.matching import initial_weights
from convlstm_cli.comparing.plan import Plan, Trial
from convlstm_cli.compute.memory import keep_freed_memory
from convlstm_cli.compute.stopping import StopRequest
from convlstm_cli.errors import ConvLSTMError, Interrupted
from convlstm_cli.progress import Progress, StepReport
from convlstm_cli.runs.run import Run
from convlstm_cli.video import data as video_data
from convlstm_cli.video.data import VideoData

ORPHANS = 30.0
"""Seconds that trainings may take to save whose comparison was killed, before one that goes on with it is refused."""
POLL = 0.2
"""Seconds between looks at what the processes tell, and whether to stop."""


def train_all(plan: Plan, data: VideoData, progress: Progress, should_stop: Callable[[], bool]) -> None:
    """Makes every training of the plan that is not finished.

    Raises:
        Interrupted: after saving what goes on.
        ConvLSTMError: a training failed; the others are saved.
    """
    left = [trial for trial in plan.trials() if not is_finished(plan, trial)]
    total = len(plan.arms) * len(plan.seeds)
    made = _Made(progress, total - len(left), total)
    if len(left) < total:
        progress.note(f"{total - len(left)} of {total} trainings are finished already")
    try:
        if plan.compare.at_once(len(left)) == 1:
            device = next(iter(plan.compare.devices), None)
            for trial in left:
                watched = _Watched(lambda share, trial=trial: made.share(str(trial), share))  # type: ignore[misc]
                made.ended(trial, _train(plan, trial, data, device, watched, should_stop))
        else:
            _train_in_processes(plan, left, made, should_stop)
    except Interrupted:
        raise Interrupted(f"interrupted, and saved; go on with: convlstm compare -o {plan.folder} --resume") from None
    finally:
        progress.finished()


def is_finished(plan: Plan, trial: Trial) -> bool:
    """Whether a training has ended, was tested and has its report, which is written last."""
    return all((plan.run_folder(trial) / name).is_file() for name in ("test.json", "report.html"))


def threads_of(processes: int) -> int:
    """Threads for each of several processes: all cores are shared out, as far as this process may use them."""
    return max(1, torch.get_num_threads() // processes)


@dataclass(frozen=True)
class _Result:
    """What is told of a finished training; small, since it comes from another process."""

    steps: int
    seconds: float
    mse: float
    copying: float


def _train(
    plan: Plan,
    trial: Trial,
    data: VideoData,
    device: str | None,
    progress: Progress,
    should_stop: Callable[[], bool],
) -> _Result:
    arm, folder = trial.arm, plan.run_folder(trial)
    config = replace(arm.training, seed=trial.seed, device=device or arm.training.device)
    initial = initial_weights(plan.arms, arm, trial.seed)
    lock.wait_for(folder, ORPHANS)
    more: dict[str, Any] = {"initial": initial, "progress": progress, "should_stop": should_stop}
    if (folder / "config.json").is_file():
        result = training.resume(Run.open(folder), data, config=config, **more)
    else:
        result = training.train(data, arm.model, config, folder, **more)
    test = result.test
    return _Result(result.steps, result.seconds, test.model.mean_mse, test.persistence.mean_mse)


class _Watched(Progress):
    """Reduces what a training tells to the share of it that is done."""

    def __init__(self, on_share: Callable[[float], None]) -> None:
        self._on_share = on_share

    def stepped(self, step: StepReport) -> None:
        self._on_share(step.share)


class _Made:
    """Counts trainings for the progress, those under way by their share."""

    def __init__(self, progress: Progress, done: int, total: int) -> None:
        self._progress, self._done, self._total = progress, done, total
        self._shares: dict[str, float] = {}

    def share(self, trial: str, share: float) -> None:
        self._shares[trial] = share
        # Short of all, since its test and its report are still to come.
        done = self._done + min(sum(self._shares.values()), len(self._shares) - 1e-6)
        self._progress.comparing(done, self._total, "; ".join(self._shares))

    def ended(self, trial: Trial, result: _Result) -> None:
        self._shares.pop(str(trial), None)
        self._done += 1
        against = f", {result.mse / result.copying:.3f} × copying" if result.copying else ""
        self._progress.note(
            f"{trial}: {result.steps} steps in {timedelta(seconds=round(result.seconds))}, test MSE "
            f"{result.mse:.5f}{against} ({self._done} of {self._total})"
        )


def _train_in_processes(plan: Plan, left: Sequence[Trial], made: _Made, should_stop: Callable[[], bool]) -> None:
    processes = plan.compare.at_once(len(left))
    context = multiprocessing.get_context("spawn")  # a fork would copy threads and CUDA's state in a broken way
    stop, told, devices = context.Event(), context.Queue(), context.Queue()
    names = plan.compare.devices or (None,)
    for position in range(processes):
        devices.put(names[position % len(names)])
    arguments = (plan.folder, threads_of(processes), devices, told, stop)
    pool = ProcessPoolExecutor(processes, context, _begin, arguments)
    try:
        _watch(pool, plan, left, made, told, should_stop)
    except BrokenProcessPool as error:
        raise ConvLSTMError(
            "a training's process was ended from outside, perhaps for want of memory; lower --jobs, and go on "
            f"with: convlstm compare -o {plan.folder} --resume"
        ) from error
    finally:
        try:
            stop.set()  # those that go on save and end
            for process in multiprocessing.active_children() if os.name == "posix" else ():
                process.terminate()  # which they take as a request to save at once, even inside a step
            pool.shutdown(cancel_futures=True)
        except KeyboardInterrupt:  # asked again, to end without saving; nothing else ends a pool at once
            for process in multiprocessing.active_children():
                process.kill()
            raise


def _watch(
    pool: ProcessPoolExecutor,
    plan: Plan,
    left: Sequence[Trial],
    made: _Made,
    told: Any,
    should_stop: Callable[[], bool],
) -> None:
    """Hands the trainings to the processes, and waits for all of them."""
    futures: dict[Future[_Result], Trial] = {
        pool.submit(_work, position): trial for position, trial in _numbered(plan, left)
    }
    waiting = set(futures)
    while waiting:
        ended, waiting = wait(waiting, POLL, FIRST_COMPLETED)
        with contextlib.suppress(queue.Empty):
            while True:
                made.share(*told.get_nowait())
        if should_stop():
            raise Interrupted
        for future in ended:
            made.ended(futures[future], future.result())


def _numbered(plan: Plan, left: Sequence[Trial]) -> Iterator[tuple[int, Trial]]:
    """Trials with their position in the plan, which is what a process is told: it reads the rest from disk."""
    wanted = set(map(str, left))
    return ((position, trial) for position, trial in enumerate(plan.trials()) if str(trial) in wanted)


class _Request(StopRequest):
    """Asked for by a signal, or in all processes by an event."""

    def __init__(self, event: Any) -> None:
        super().__init__()
        self._event = event

    def __call__(self) -> bool:
        return super().__call__() or bool(self._event.is_set())


class _Worker:
    """What a process needs for any training."""

    def __init__(self, folder: Path, device: str | None, told: Any, stop: Any) -> None:
        self._folder, self._device, self._told = folder, device, told
        self._data: VideoData | None = None
        # Not `stop` itself, whose lock this very process may hold when a signal comes.
        self._request, self._busy = _Request(stop), threading.Lock()
        signal.signal(signal.SIGTERM, lambda *_: self._request.ask())
        threading.Thread(target=self._leave_with_parent, daemon=True).start()

    def work(self, position: int) -> _Result:
        """Makes the training at this position of the plan."""
        with self._busy:
            plan = Plan.read(self._folder)
            if self._data is None:  # here and not at the beginning, so that an error reaches whoever waits
                model = plan.arms[0].model
                self._data = video_data.restore(plan.data, model.input_frames, model.horizon)
            trial = list(plan.trials())[position]
            watched = _Watched(lambda share: self._told.put((str(trial), share)))
            return _train(plan, trial, self._data, self._device, watched, self._request)

    def _leave_with_parent(self) -> None:
        """Ends this process, after saving, when the one that started it was killed: the pool's queue would not."""
        parent = multiprocessing.parent_process()
        assert parent is not None
        multiprocessing.connection.wait([parent.sentinel])
        signal.raise_signal(signal.SIGTERM)  # which the thread that trains takes
        with self._busy:
            os._exit(1)


_worker: _Worker | None = None


def _begin(folder: Path, threads: int, devices: Any, told: Any, stop: Any) -> None:
    global _worker
    # Ctrl-C goes to all processes of a terminal; the first of them tells the others to save.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    told.cancel_join_thread()  # what is told last must not keep the process
    torch.set_num_threads(threads)
    keep_freed_memory()
    _worker = _Worker(folder, devices.get(), told, stop)


def _work(position: int) -> _Result:
    assert _worker is not None
    return _worker.work(position)
