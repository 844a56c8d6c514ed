"""Versions of the software that a result depends on."""

import platform
from collections.abc import Sequence
from importlib import metadata

from convlstm_cli import __version__

PACKAGES = ("torch", "opencv-python", "opencv-python-headless", "av", "numpy", "safetensors", "torchmetrics")


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Version of this tool, of Python, and of the packages that a result can depend on, `more` of them."""
    found = {"convlstm": __version__, "python": platform.python_version()}
    for package in (*PACKAGES, *more):
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found
