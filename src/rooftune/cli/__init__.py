"""The command line: one command per file; each parses, calls the pipeline and prints."""

from rooftune.cli.app import main

__all__ = ["main"]
