"""`convlstm info`."""

from convlstm_cli.cli.arguments import AsJson


def info(json: AsJson = False) -> None:
    """Print what a bug report needs: versions, devices, OpenCV's codecs, the cache."""
    from convlstm_cli.cli import console, views
    from convlstm_cli.cli.facts import gather

    facts = gather().to_dict()
    console.show_json(facts) if json else console.show(views.facts_table(facts))
