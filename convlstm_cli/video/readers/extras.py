"""Libraries of formats that not everybody reads: each belongs to an extra of the package, and is imported when used."""

import importlib
from types import ModuleType

from convlstm_cli.errors import DependencyError


def load_extra(module: str, extra: str, source: object) -> ModuleType:
    """Imports a library that reads `source`. Raises DependencyError, which names the extra to install."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise DependencyError(
            f"{source}: is read by {module}, which does not load ({error}); install it with "
            f"`pip install 'convlstm[{extra}]'`."
        ) from error
