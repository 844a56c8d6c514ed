"""How long work is asked to stop, so that it can save: at its next look or, where nothing can be lost, at once."""

import contextlib
from collections.abc import Callable, Iterator


class Stopped(BaseException):
    """Raised inside `at_once` where stopping was asked for. No Exception, so that nothing takes it for a failure."""


class StopRequest:
    """Asked for once, by a signal for example; called, it says whether it was."""

    def __init__(self) -> None:
        self._asked = False
        self._at_once = False

    def __call__(self) -> bool:
        return self._asked

    def ask(self) -> None:
        """Asks to stop. Raises Stopped, in the thread that asks, if that is inside `at_once`."""
        self._asked = True
        if self._at_once:
            raise Stopped

    @contextlib.contextmanager
    def at_once(self) -> Iterator[None]:
        """Inside, work may be left at any point. Raises Stopped if it was asked for already."""
        self._at_once = True
        try:
            if self._asked:
                raise Stopped
            yield
        finally:
            self._at_once = False


def at_once(should_stop: Callable[[], bool]) -> contextlib.AbstractContextManager[None]:
    """`StopRequest.at_once`, or nothing for a question that can only be asked."""
    return should_stop.at_once() if isinstance(should_stop, StopRequest) else contextlib.nullcontext()
