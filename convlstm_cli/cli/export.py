"""`convlstm export`."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from convlstm_cli.cli.arguments import AsJson, Quiet
from convlstm_cli.cli.options import build, with_options
from convlstm_cli.interop.config import ExportConfig

if TYPE_CHECKING:
    from convlstm_cli.export import Export


@with_options((ExportConfig, "Export"))
def export(
    run: Annotated[
        Path, typer.Argument(metavar="RUN", help="The run folder whose network is exported, or pretrained.")
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Folder to make; RUN/export-1, -2, ... if not given.")
    ] = None,
    quiet: Quiet = False,
    json: AsJson = False,
    **options: Any,
) -> None:
    """Write a run's network for programs without this package: torch.export and ONNX, with an example that runs it."""
    from convlstm_cli import export as exporting
    from convlstm_cli.cli import console
    from convlstm_cli.compute.distributed import check_one_process
    from convlstm_cli.paths import quoted
    from convlstm_cli.weights.pretrained import free_folder, open_run

    check_one_process("export")
    config = build(ExportConfig, options)
    folder = output or free_folder(run, "export")
    progress = console.ConsoleProgress(quiet)
    result = exporting.export(open_run(run), folder, config, progress)
    console.show_json(dataclasses.asdict(result)) if json else console.show(*_lines(result))
    progress.note(f"wrote {folder} ({', '.join(result.files)})")
    progress.note(f"next: python {quoted(folder / 'forecast.py')} FRAMES.npy FORECAST.npy")


def _lines(export: "Export") -> tuple[str, ...]:
    """A line for each format: its largest difference from the forecast of the network."""
    return tuple(
        f"{name}: {'not run here' if difference is None else f'differs from the network by at most {difference:.1e}'}"
        for name, difference in export.differences.items()
    )
