"""Whether the Python at hand meets the package's requirements: each step would fail for want of one, after a while."""

import importlib.metadata
import tomllib

from gpu_check.run import ROOT

try:
    from packaging.requirements import Requirement
except ImportError:  # pytest depends on it, and a bare machine may have neither
    Requirement = None  # type: ignore[assignment,misc]

ALTERNATIVES = {"opencv-python": ("opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless")}
"""Distributions that hold the same modules as a requirement."""


def unmet() -> list[str]:
    """The requirements that are not met, each with what is there, in words."""
    if Requirement is None:
        return ["packaging is missing"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    reasons = (_reason(Requirement(line)) for line in project["dependencies"])
    return [reason for reason in reasons if reason is not None]


def _reason(requirement: Requirement) -> str | None:
    for name in (requirement.name, *ALTERNATIVES.get(requirement.name, ())):
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        met = requirement.specifier.contains(version, prereleases=True)
        return None if met else f"{name} {version} is there and not {requirement.specifier}"
    return f"{requirement.name} is missing"
