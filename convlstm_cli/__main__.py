"""`python -m convlstm_cli`, and the `convlstm` command."""

from convlstm_cli.cli.app import main

if __name__ == "__main__":
    main()
