"""Every error that the tool raises on purpose, each with the exit code that the command line gives it.

    ConvLSTMError                 1   something failed; the message says what and what to do
    ├── InputError                1   a video, image, array or folder that cannot be used
    ├── RunError                  1   a run folder that is missing, damaged or of another kind
    ├── OutputError               1   something could not be written
    ├── DependencyError           1   a library that is missing or does not load
    ├── InsufficientMemoryError   1   a training that takes more memory than there is
    ├── LostProcessError          1   another process of a training that has ended, after saving
    ├── RemoteProcessError        ·   a failure that another process of a training has reported, with its exit code
    ├── UsageError                2   an option or argument that makes no sense
    └── Interrupted             130   Ctrl-C or SIGTERM, after everything worth keeping was saved

A message is one sentence or two: which file or option, what is wrong, what to do next.
"""

import errno


class ConvLSTMError(Exception):
    """Root of all errors raised on purpose. `exit_code` is what the command line returns for it."""

    exit_code = 1


class InputError(ConvLSTMError):
    """A video, image, array or folder that cannot be used."""


class RunError(ConvLSTMError):
    """A run folder that is missing, damaged or of another kind."""


class OutputError(ConvLSTMError):
    """Something could not be written."""


class DependencyError(ConvLSTMError):
    """A library that is missing, or does not load on this system."""


class InsufficientMemoryError(ConvLSTMError):
    """A training takes more memory than there is; the message says what would fit."""


class LostProcessError(ConvLSTMError):
    """Another process of a training has ended or is out of reach; everything worth keeping is saved."""


class RemoteProcessError(ConvLSTMError):
    """Another process of a training has failed and reported why; this one ends with its exit code."""

    def __init__(self, message: str, exit_code: int) -> None:
        super().__init__(message)
        self.exit_code = exit_code


class UsageError(ConvLSTMError, ValueError):
    """An option or argument that makes no sense; also a ValueError for users of the Python API."""

    exit_code = 2


class Interrupted(ConvLSTMError):
    """Ctrl-C or SIGTERM, after everything worth keeping was saved."""

    exit_code = 130


def refused_write(what: object, error: OSError) -> OutputError:
    """The error for a write that the system refused; `what` is the file or folder as messages name it."""
    remedy = "free some space or choose another -o"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        remedy = "a file is where a folder has to be made, so choose another -o or remove the file"
    elif error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        remedy = "choose another -o, or change the permissions"
    return OutputError(f"{what}: cannot be written ({error.strerror or error}); {remedy}.")


def first_line(error: Exception) -> str:
    """The first line of an error's message, or its kind."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
