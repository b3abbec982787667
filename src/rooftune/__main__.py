"""`python -m rooftune`."""

from rooftune.cli import main

main()
