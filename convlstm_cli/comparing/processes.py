"""Makes several trainings of a comparison at a time, each in a process with its share of the cores."""

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import queue
import signal
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import TypeAlias

import torch

from convlstm_cli.comparing.plan import Plan, Trial
from convlstm_cli.comparing.tally import Tally
from convlstm_cli.comparing.trial import ShareProgress, TrialResult, make_trial
from convlstm_cli.compute.memory import keep_freed_memory
from convlstm_cli.compute.stopping import StopRequest
from convlstm_cli.errors import ConvLSTMError, Interrupted
from convlstm_cli.paths import quoted
from convlstm_cli.training.optimisers import leave_out_compiler
from convlstm_cli.video import data as video_data
from convlstm_cli.video.data import VideoData

POLL = 0.2
"""Seconds between looks at what the processes report, and whether to stop."""

Shares: TypeAlias = "Queue[tuple[str, float]]"
"""Names of trainings, with the share of each that is done."""


def threads_of(processes: int) -> int:
    """Threads for each of several processes: all cores are shared out, as far as this process may use them."""
    return max(1, torch.get_num_threads() // processes)


def train_in_processes(plan: Plan, left: Sequence[Trial], tally: Tally, should_stop: Callable[[], bool]) -> None:
    """Makes the trainings that are left, as many at a time as the plan says.

    Raises:
        Interrupted: when asked to stop, after all processes have saved.
        ConvLSTMError: a training failed, or the system ended its process; the others have saved.
    """
    processes = plan.compare.at_once(len(left))
    context = multiprocessing.get_context("spawn")  # a fork would copy threads and CUDA's state in a broken way
    stop = context.Event()
    shares: Shares = context.Queue()
    devices: Queue[str | None] = context.Queue()
    names = plan.compare.devices or (None,)
    for position in range(processes):
        devices.put(names[position % len(names)])
    arguments = (plan.folder, threads_of(processes), devices, shares, stop)
    pool = ProcessPoolExecutor(processes, context, _begin, arguments)
    try:
        _watch(pool, plan, left, tally, shares, should_stop)
    except BrokenProcessPool as error:
        raise ConvLSTMError(
            "a training's process was ended from outside, perhaps for want of memory; lower --jobs, and go on "
            f"with: convlstm compare -o {quoted(plan.folder)} --resume"
        ) from error
    finally:
        _end(pool, stop)


def _watch(
    pool: ProcessPoolExecutor,
    plan: Plan,
    left: Sequence[Trial],
    tally: Tally,
    shares: Shares,
    should_stop: Callable[[], bool],
) -> None:
    """Hands the trainings to the processes, and waits for all of them."""
    wanted = set(map(str, left))
    # A process gets a training's position in the plan only, and reads the rest from disk.
    futures: dict[Future[TrialResult], Trial] = {
        pool.submit(_work, position): trial for position, trial in enumerate(plan.trials()) if str(trial) in wanted
    }
    waiting = set(futures)
    while waiting:
        ended, waiting = wait(waiting, POLL, FIRST_COMPLETED)
        with contextlib.suppress(queue.Empty):
            while True:
                tally.share(*shares.get_nowait())
        if should_stop():
            raise Interrupted
        for future in ended:
            tally.ended(futures[future], future.result())


def _end(pool: ProcessPoolExecutor, stop: Event) -> None:
    """Ends the processes once they have saved."""
    try:
        stop.set()  # those that go on save and end
        for process in multiprocessing.active_children() if os.name == "posix" else ():
            process.terminate()  # which they take as a request to save at once, even inside a step
        pool.shutdown(cancel_futures=True)
    except KeyboardInterrupt:  # asked again, to end without saving; nothing else ends a pool at once
        for process in multiprocessing.active_children():
            process.kill()
        raise


class _Request(StopRequest):
    """A request to stop that a signal makes in this process, or an event in all processes."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self._event = event

    def __call__(self) -> bool:
        return super().__call__() or self._event.is_set()


class _Worker:
    """What a process needs for any training."""

    def __init__(self, folder: Path, device: str | None, shares: Shares, stop: Event) -> None:
        self._folder, self._device, self._shares = folder, device, shares
        self._data: VideoData | None = None
        # Not `stop` itself, whose lock this very process may hold when a signal comes.
        self._request, self._busy = _Request(stop), threading.Lock()
        signal.signal(signal.SIGTERM, lambda *_: self._request.ask())
        threading.Thread(target=self._leave_with_parent, daemon=True).start()

    def work(self, position: int) -> TrialResult:
        """Makes the training at this position of the plan."""
        with self._busy:
            plan = Plan.read(self._folder)
            if self._data is None:  # here and not at the beginning, so that an error reaches whoever waits
                model = plan.arms[0].model
                self._data = video_data.restore(plan.data, model.input_frames, model.horizon)
            trial = list(plan.trials())[position]
            watched = ShareProgress(lambda share: self._shares.put((str(trial), share)))
            return make_trial(plan, trial, self._data, self._device, watched, self._request)

    def _leave_with_parent(self) -> None:
        """Ends this process, after saving, when the one that started it was killed: the pool's queue would not."""
        parent = multiprocessing.parent_process()
        assert parent is not None
        multiprocessing.connection.wait([parent.sentinel])
        signal.raise_signal(signal.SIGTERM)  # which the thread that trains takes
        with self._busy:
            os._exit(1)


_worker: _Worker | None = None


def _begin(folder: Path, threads: int, devices: "Queue[str | None]", shares: Shares, stop: Event) -> None:
    global _worker
    # Ctrl-C goes to all processes of a terminal; the first of them asks the others to save.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    shares.cancel_join_thread()  # a share that nobody reads any more must not keep the process
    torch.set_num_threads(threads)
    keep_freed_memory()
    leave_out_compiler()
    _worker = _Worker(folder, devices.get(), shares, stop)


def _work(position: int) -> TrialResult:
    assert _worker is not None
    return _worker.work(position)
