"""`convlstm explain`."""

import dataclasses
from pathlib import Path
from typing import Annotated, Any

import typer

from convlstm_cli.cli.arguments import NETWORK, AsJson, Size, UsePreset
from convlstm_cli.cli.options import flag_of, with_options
from convlstm_cli.cli.request import Request
from convlstm_cli.errors import UsageError


@with_options(NETWORK)
def explain(
    context: typer.Context,
    model: Annotated[Path | None, typer.Option("-m", "--model", help="Explain the network of this run.")] = None,
    preset: UsePreset = "small",
    size: Size = "64",
    json: AsJson = False,
    **options: Any,
) -> None:
    """Print the equations of a ConvLSTM with the shapes of its weights, and which systems have which peepholes."""
    from convlstm_cli.cli import console
    from convlstm_cli.reporting.explain import explain as explanation_of
    from convlstm_cli.reporting.explain import render

    request = Request.read(context, options, preset=preset, size=size)
    if model is None:
        config = request.model(*request.frame_size())
    else:
        if given := sorted(request.given & {*options, "preset", "size"}):
            raise UsageError(f"{flag_of(given[0])} and -m cannot both say what to explain; leave one out.")
        from convlstm_cli.weights.pretrained import open_run

        config = open_run(model).model_config
    explanation = explanation_of(config)
    console.show_json(dataclasses.asdict(explanation)) if json else console.show(*render(explanation))
