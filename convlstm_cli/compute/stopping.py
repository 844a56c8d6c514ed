"""Cooperative cancellation of long-running work.

Work asks between two steps whether to stop, so that it can save. Where nothing can be lost it is stopped at once.
"""

import contextlib
from collections.abc import Callable, Iterator


class Stopped(BaseException):
    """Raised inside `at_once` when a stop is requested. No Exception, so that no handler takes it for a failure."""


class StopRequest:
    """A request to stop, made by a signal handler for example. Called, it returns whether it was made."""

    def __init__(self) -> None:
        self._asked = False
        self._at_once = False

    def __call__(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """Makes the request. Raises Stopped, in the thread that makes it, while work is inside `at_once`."""
        self._asked = True
        if self._at_once:
            raise Stopped

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """A block that may be left at any point. Raises Stopped if the request was made before."""
        self._at_once = True
        try:
            if self._asked:
                raise Stopped
            yield
        finally:
            self._at_once = False


def at_once(should_stop: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
    """`StopRequest.at_once`; for any other function, which can only be asked, a block without effect."""
    return should_stop.at_once() if isinstance(should_stop, StopRequest) else contextlib.nullcontext()
