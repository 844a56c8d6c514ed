import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from convlstm_cli.compute.background import in_background

PATIENCE = 10.0
"""Seconds after which a test that hangs fails."""


def ours() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "background" in thread.name]


def test_every_call_is_made_in_order_in_one_other_thread() -> None:
    calls: list[tuple[int, str]] = []
    where: set[int] = set()

    def work(number: int, *, name: str) -> None:
        where.add(threading.get_ident())
        calls.append((number, name))

    with in_background(work, ahead=3) as put:
        for number in range(20):
            put(number, name=str(number))
    assert calls == [(number, str(number)) for number in range(20)]
    assert len(where) == 1
    assert where != {threading.get_ident()}
    assert not ours()


def test_a_block_without_calls() -> None:
    with in_background(print, ahead=1):
        pass
    assert not ours()


@pytest.mark.parametrize("ahead", [1, 3])
def test_the_caller_runs_ahead_but_not_far(ahead: int) -> None:
    free, taken = threading.Event(), threading.Semaphore(0)
    given = 0

    def work() -> None:
        assert free.wait(PATIENCE)

    def give(put: Callable[[], None]) -> None:
        nonlocal given
        for _ in range(10):
            put()
            given += 1
            taken.release()

    with in_background(work, ahead) as put, ThreadPoolExecutor(1) as caller:
        giving = caller.submit(give, put)
        for _ in range(ahead):
            assert taken.acquire(timeout=PATIENCE)  # while not one call has ended
        assert not taken.acquire(timeout=0.05)
        assert given == ahead
        free.set()
        giving.result(PATIENCE)
    assert given == 10


@pytest.mark.parametrize("ahead", [1, 3, 100])
def test_an_error_comes_out_of_the_next_call_and_ends_the_work(ahead: int) -> None:
    calls, failed = [], threading.Event()

    def work(number: int) -> None:
        calls.append(number)
        if number == 2:
            failed.set()
            raise OSError("full")

    def give() -> None:
        with in_background(work, ahead) as put:
            for number in range(3):
                put(number)
            assert failed.wait(PATIENCE)
            for number in range(3, 200):
                put(number)

    with pytest.raises(OSError, match="full"):
        give()
    assert calls == [0, 1, 2]
    assert not ours()


def test_an_error_of_the_last_call_comes_out_at_the_end() -> None:
    def work() -> None:
        raise OSError("full")

    with pytest.raises(OSError, match="full"), in_background(work, ahead=2) as put:
        put()
    assert not ours()


@pytest.mark.parametrize("error", [KeyboardInterrupt, ValueError])
def test_an_error_of_the_caller_drops_what_waits_and_lets_the_rest_end(error: type[BaseException]) -> None:
    begun, calls = threading.Event(), []

    def work(number: int) -> None:
        begun.set()
        threading.Event().wait(0.1)
        calls.append(number)

    def give() -> None:
        with in_background(work, ahead=5) as put:
            for number in range(5):
                put(number)
            assert begun.wait(PATIENCE)
            raise error("stop")

    with pytest.raises(error, match="stop"):
        give()
    assert calls == [0]
    assert not ours()


def test_a_second_interrupt_does_not_leave_the_thread_at_work(monkeypatch: pytest.MonkeyPatch) -> None:
    shutdown = ThreadPoolExecutor.shutdown
    interrupts = [KeyboardInterrupt("second")]
    begun, ended = threading.Event(), []

    def work() -> None:
        begun.set()
        threading.Event().wait(0.1)
        ended.append(True)

    def interrupted(self: ThreadPoolExecutor, wait: bool = True, *, cancel_futures: bool = False) -> None:
        if interrupts:
            shutdown(self, wait=False, cancel_futures=cancel_futures)
            raise interrupts.pop()
        shutdown(self, wait, cancel_futures=cancel_futures)

    def give() -> None:
        with in_background(work, ahead=2) as put:
            put()
            assert begun.wait(PATIENCE)
            raise KeyboardInterrupt("first")

    monkeypatch.setattr(ThreadPoolExecutor, "shutdown", interrupted)
    with pytest.raises(KeyboardInterrupt, match="second"):
        give()
    assert ended == [True]
    assert not ours()
