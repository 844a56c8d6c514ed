"""Libraries of formats that not everybody reads: each belongs to an extra of the package, and is imported when used."""

import importlib
from types import ModuleType

from convlstm_cli.errors import DependencyError


def load_extra(module: str, extra: str, source: object, done: str = "read") -> ModuleType:
    """Imports a library by which `source` is read or written. Raises DependencyError, which names what to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{source}: is {done} by {module}, which does not load ({error}); install it with "
            f"`pip install 'convlstm[{extra}]'`."
        ) from error
