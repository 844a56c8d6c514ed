"""Calls that are made in a thread of their own, in order, while the caller prepares the next."""

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import ParamSpec

P = ParamSpec("P")


@contextlib.contextmanager
def in_background(work: Callable[P, None], ahead: int) -> Iterator[Callable[P, None]]:
    """Gives a function that takes calls of `work` and makes them in a thread, in order and one at a time.

    The function returns at once while fewer than `ahead` calls are unfinished, and waits for the oldest otherwise. An
    error of `work` is raised by the next call, or at the end of the block; no later call is made. When the block ends
    well, every call has been made; when it raises, Ctrl-C included, waiting calls are dropped. Either way the thread
    has ended.
    """
    executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=__name__)
    unfinished: deque[Future[None]] = deque()
    failed = threading.Event()

    def attempt(*args: P.args, **kwargs: P.kwargs) -> None:
        if failed.is_set():
            return
        try:
            work(*args, **kwargs)
        except BaseException:
            failed.set()
            raise

    def put(*args: P.args, **kwargs: P.kwargs) -> None:
        while unfinished and (unfinished[0].done() or len(unfinished) >= ahead):
            unfinished.popleft().result()
        unfinished.append(executor.submit(attempt, *args, **kwargs))

    try:
        yield put
        while unfinished:
            unfinished.popleft().result()
    finally:
        try:
            executor.shutdown(cancel_futures=True)
        finally:
            executor.shutdown()  # a second Ctrl-C must not close files that the thread still writes to
