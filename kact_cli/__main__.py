"""`python -m kact_cli` is `kact`."""

from kact_cli.cli import main

if __name__ == "__main__":
    main()
