"""Locks that the system releases when their process ends, however it ends.

They are flock's, which hold between the processes of one machine, and between machines where the file system passes
them on (NFS does). Where there are none (Windows, some network file systems) nothing is refused. filelock (4.2) is no
substitute: it locks neither folders nor what is moved while it is held, and leaves its files behind.
"""

import contextlib
import os
import re
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from convlstm_cli.errors import OutputError, refused_write

if sys.platform != "win32":
    import fcntl

LOCK = ".lock"
"""Name of the file inside a locked folder; its text names the process and the host that hold it."""
LOCKED = ".locked-"
"""Prefix of the file beside a locked folder that is not there yet, or is about to be replaced."""
NO_LINKS = getattr(os, "O_NOFOLLOW", 0)
"""Flag that refuses a link in the lock's place, through which any file could be overwritten."""
OWNER = re.compile(r"process \d+ on .*\n?")
MOST = 400
"""Largest size of a lock in bytes."""
TRIES = 3
"""Attempts at a lock, since a process that sweeps holds it for a moment."""
POLL = 0.1
"""Seconds between two looks at a lock that is waited for."""


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[None]:
    """Keeps other processes from working on a folder, which is made if it is not there, until the block ends.

    Raises OutputError, which names the process that works on it, or where the folder cannot be written.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise refused_write(folder, error) from error
    try:
        with _holding_file(folder / LOCK, folder):
            yield
    finally:
        if made:
            with contextlib.suppress(OSError):  # as long as nothing was written into it
                folder.rmdir()


@contextlib.contextmanager
def holding_name(path: Path) -> Iterator[None]:
    """As `holding`, for a file or folder that is to be made or replaced at `path`; its parent has to exist."""
    with _holding_file(path.with_name(f"{LOCKED}{path.name}"), path):
        yield


@contextlib.contextmanager
def taking_turns(path: Path) -> Iterator[None]:
    """Waits until nobody else is in such a block for the file `path`, which is made where it is not there, and stays.

    It holds between threads too. Where there are no locks, nobody waits. Raises OSError where the file cannot be made.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINKS, 0o600)
    try:
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        # Closing alone would leave the lock to a process that was forked in the meantime.
        if sys.platform != "win32":
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def wait_for(folder: Path, seconds: float) -> None:
    """Waits until no process holds a folder, at most for so many seconds."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        with held(folder / LOCK) as free:
            if free is not False or not (folder / LOCK).exists():
                return
        time.sleep(POLL)


@contextlib.contextmanager
def held(path: Path) -> Iterator[bool | None]:
    """Locks an existing file or folder until the block ends, wherever it is moved meanwhile.

    Yields whether it is locked: False where another process holds it, or it is gone; None where there are no locks.
    """
    if sys.platform == "win32":  # where what is open cannot be renamed either
        yield None
        return
    try:
        # NFS locks what is open for writing only, which a folder cannot be.
        descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    except FileNotFoundError:
        yield False
        return
    except OSError:
        yield None
        return
    try:
        locked = _lock(descriptor)
        yield locked if _is_at(descriptor, path) else False
    finally:
        os.close(descriptor)


def is_ours(path: Path) -> bool:
    """Whether a file is a lock of this module, judged by its text; a process killed early leaves none."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.stat().st_size < MOST else "-"
    return not text or OWNER.fullmatch(text) is not None


@contextlib.contextmanager
def _holding_file(path: Path, what: Path) -> Iterator[None]:
    try:
        descriptor = _acquire(path, what)
    except OSError as error:
        raise refused_write(what, error) from error
    try:
        yield
    finally:
        _release(descriptor, path)


def _release(descriptor: int, path: Path) -> None:
    try:
        if _is_at(descriptor, path):  # and not moved away, with another process's lock in its place
            if sys.platform == "win32":  # which deletes nothing that is open
                os.close(descriptor)
            with contextlib.suppress(OSError):  # before another process can take it for its own
                path.unlink()
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)


def _acquire(path: Path, what: Path) -> int:
    refusals = 0
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | NO_LINKS, 0o666)
        try:
            if _lock(descriptor) is False:
                refusals += 1
                if refusals == TRIES:
                    raise OutputError(
                        f"{what}: {_owner(descriptor)} is working on it; wait until that has ended, or choose "
                        "another -o."
                    )
            elif _is_at(descriptor, path):
                _sign(descriptor, path)
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)  # its holder has just removed the file, or a process sweeps it
        time.sleep(POLL / 10)


def _sign(descriptor: int, path: Path) -> None:
    try:
        os.ftruncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    except OSError:
        path.unlink()
        raise


def _lock(descriptor: int) -> bool | None:
    """Whether this process has the lock now; None where there are no locks."""
    if sys.platform == "win32":
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file or folder is still the one at a path."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _owner(descriptor: int) -> str:
    text = os.read(descriptor, MOST).decode(errors="replace").strip()
    return text or "another process"  # it has not written its name yet
