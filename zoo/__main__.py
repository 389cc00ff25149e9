"""`python -m zoo`."""

from zoo.cli.main import entry

entry()
