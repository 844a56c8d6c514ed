"""Runs the command line: `python -m convlstm_cli`, and the entry point of the `convlstm` command."""

import sys

INTERRUPTED = 130
"""Exit code of `errors.Interrupted`, which is not imported here."""


def main() -> None:
    """Entry point of the `convlstm` command. Ctrl-C while the program is still being imported is one line too."""
    try:
        from convlstm_cli.cli import app

        app.main()
    except KeyboardInterrupt:
        sys.stderr.write("error: interrupted; no file is left half written.\n")
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
