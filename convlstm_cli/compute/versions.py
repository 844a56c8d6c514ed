"""Versions of the software that a result depends on."""

import platform
import re
from collections.abc import Sequence
from importlib import metadata

from convlstm_cli import __version__

PACKAGES = ("torch", "opencv-python", "opencv-python-headless", "av", "numpy", "safetensors", "torchmetrics")


def versions(more: Sequence[str] = ()) -> dict[str, str]:
    """Version of this tool, of Python, and of the packages that a result can depend on, `more` of them."""
    found = {"convlstm": __version__, "python": platform.python_version()}
    for package in (*PACKAGES, *more):
        if (version := _version(package)) is not None:
            found[package] = version
    return found


def _version(package: str) -> str | None:
    """The version of an installed package; None for one that is not installed."""
    try:
        described = metadata.distribution(package).read_text("METADATA") or ""
    except metadata.PackageNotFoundError:
        return None
    # Not metadata.version, which parses all of the text: 30 ms for these packages.
    found = re.search("^Version: *(.+?) *$", described, re.MULTILINE)
    return metadata.version(package) if found is None else found.group(1)
