"""The console of Rich that everything is printed through."""

from rich.console import Console


class Terminal(Console):
    """A console that leaves it to `cli/app.py` how a command ends whose output nobody reads any more."""

    def on_broken_pipe(self) -> None:
        """Raises the BrokenPipeError that is being handled; Rich would exit with 1."""
        raise  # called while it is handled
