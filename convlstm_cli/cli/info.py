"""`convlstm info`."""

from pathlib import Path
from typing import Annotated

import typer

from convlstm_cli.cli.arguments import AsJson


def info(
    run: Annotated[
        Path | None,
        typer.Argument(metavar="RUN", help="A run, whose network and values are printed as well.", show_default=False),
    ] = None,
    json: AsJson = False,
) -> None:
    """Print what a bug report needs: versions, devices, OpenCV's codecs, the cache."""
    from convlstm_cli.cli import console
    from convlstm_cli.cli.facts import gather, of_run
    from convlstm_cli.cli.tables import facts_table
    from convlstm_cli.weights.pretrained import open_run

    about = {} if run is None else of_run(open_run(run)).to_dict()
    facts = {**gather().to_dict(), **about}
    console.show_json(facts) if json else console.show(facts_table(facts))
