"""Exports a trained network for people without this package: a folder with all that running it takes.

manifest.json                       inputs, outputs, how frames are fitted, versions, and how exact the programs are
forecaster.onnx                     frames and a horizon in, forecast out (with forecaster.onnx.data if it is large)
start.pt2, read.pt2, step.pt2       the same for torch.export; the loops over frames and lead times are the caller's
forecast.py                         an example that needs no more than NumPy and a runtime
README.md                           for whoever receives the folder
"""

import importlib.resources
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from convlstm_cli.compute.distributed import check_one_process
from convlstm_cli.compute.versions import versions
from convlstm_cli.errors import OutputError, UsageError
from convlstm_cli.files import check_absent, creating_folder
from convlstm_cli.interop.config import ExportConfig
from convlstm_cli.interop.manifest import MANIFEST, CheckEntry, Manifest, describe
from convlstm_cli.interop.program import largest_difference
from convlstm_cli.interop.programs import PROGRAMS
from convlstm_cli.interop.readme import render_readme
from convlstm_cli.nn.forecaster import EncoderForecaster
from convlstm_cli.progress import Progress
from convlstm_cli.runs.run import Run
from convlstm_cli.weights import NAME
from convlstm_cli.weights.pretrained import Pretrained

TOLERANCE = 1e-4
"""Largest difference of a pixel in [0, 1] between an exported program and the network."""


@dataclass(frozen=True)
class Export:
    """An exported network, on disk."""

    folder: Path
    files: dict[str, int]
    """Name and bytes of each file."""
    differences: dict[str, float | None]
    """For each format, the largest difference from the network; None where there is nothing to run it with."""


def export(run: Run, folder: Path, config: ExportConfig | None = None, progress: Progress | None = None) -> Export:
    """Writes the network of a run into a new folder, whole or not at all, and checks that it forecasts the same.

    Args:
        run: the run whose network is exported.
        folder: to make.
        config: which programs are written, and for the shipped weights their frame size and colour; None for the
            defaults.
        progress: receives notes; None is silent.

    Raises:
        UsageError: several processes, or a size or colour for a run that has its own.
        RunError: a run without usable weights.
        DependencyError: a library for a format is missing.
        OutputError: `folder` exists or cannot be written, or the written programs forecast something else.
    """
    check_one_process("export")
    config, progress = config or ExportConfig(), progress or Progress()
    check_absent(folder)
    run = _chosen(run, config)
    programs = {kind.name: kind.load() for kind in PROGRAMS.values() if kind.name in config.formats}
    for program in programs.values():
        program.check_installed()
    if run.model_config.known:
        raise UsageError(
            f"{run.folder}: reads channels that are known ahead (--known-future), which no program takes yet."
        )
    network = run.load_model(torch.device("cpu"))
    written: dict[str, Any] = {}
    differences: dict[str, float | None] = {}
    with creating_folder(folder) as partial:
        for name, program in programs.items():
            progress.note(program.writing)
            written[name] = program.write(network, partial)
            run_program = program.load(partial, written[name])
            if run_program is None:
                progress.note(program.not_run)
            differences[name] = None if run_program is None else largest_difference(run_program, network)
        _check(differences, folder)
        manifest = manifest_of(run, network, written, differences)
        content = json.dumps(manifest.to_dict(), indent=2, allow_nan=False)
        (partial / MANIFEST).write_text(f"{content}\n", encoding="utf-8")
        example = importlib.resources.files("convlstm_cli.interop").joinpath("templates", "forecast.py")
        (partial / "forecast.py").write_bytes(example.read_bytes())
        (partial / "README.md").write_text(render_readme(manifest), encoding="utf-8")
        files = {path.name: path.stat().st_size for path in sorted(partial.iterdir())}
    return Export(folder, files, differences)


def _chosen(run: Run, config: ExportConfig) -> Run:
    """The run for the size and colour that are asked for. Raises UsageError where they are a run's own."""
    if not isinstance(run, Pretrained):
        for flag, value in (("--size", config.size), ("--colour", config.colour)):
            if value is not None:
                raise UsageError(f"{flag} is for {NAME}; {run.folder} is exported as it was trained, so leave it out.")
        return run
    chosen = run if config.colour is None else run.for_channels({"grey": 1, "rgb": 3}[config.colour])
    return chosen if config.working_size is None else chosen.at_size(*config.working_size)


def _check(differences: Mapping[str, float | None], folder: Path) -> None:
    """Raises OutputError for a program that differs from the network by more than TOLERANCE."""
    for name, difference in differences.items():
        if difference is not None and difference > TOLERANCE:
            raise OutputError(
                f"{folder}: was not written, because the exported {name} program differs from the network by "
                f"{difference:.2g}, and {TOLERANCE:g} is allowed; train the network anew if its weights are not "
                "finite, or export it with other versions of torch and onnx."
            )


def manifest_of(
    run: Run, network: EncoderForecaster, programs: Mapping[str, Any], differences: dict[str, float | None]
) -> Manifest:
    """The manifest of an exported network: `programs` as they were written, with their differences from it."""
    test = run.read_test()
    return describe(
        network.config,
        run.geometry.fit,
        run.values,
        run.found_missing,
        run.guides,
        run=run.name,
        versions=versions(),
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        test_scores={name: test[name]["mean"] for name in ("model", "persistence")} if test else None,
        programs=programs,
        check=CheckEntry(TOLERANCE, differences),
    )
