"""Runs the command line: `python -m convlstm_cli`, and the entry point of the `convlstm` command."""

from convlstm_cli.cli.app import main

if __name__ == "__main__":
    main()
