"""What is worth keeping between runs, in a database file that several processes may use."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path

__all__ = ["Database"]

_WAIT_SECONDS = 10.0


class Database:
    """A file with one table, made when it is first used."""

    def __init__(self, path: Path, table: str) -> None:
        """Name a file and the SQL that makes its table where there is none."""
        self.path = path
        self._table = table
        self._made = False

    @contextlib.contextmanager
    def opened(self) -> Iterator[sqlite3.Connection]:
        """The database for one transaction. Raises sqlite3.Error or OSError where the file cannot be used."""
        if not self._made:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            # nobody else may write what this user's processes read, whatever his umask is
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        database = sqlite3.connect(self.path, timeout=_WAIT_SECONDS)
        try:
            if not self._made:
                database.execute(self._table)
                self._made = True
            with database:
                yield database
        finally:
            database.close()
