"""Machine code of programs that were compiled before, kept between processes."""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import time
from pathlib import Path

from rooftune.execute.database import Database
from rooftune.execute.probe.stored import home

__all__ = ["CodeStore"]

_LIMIT = 256 << 20
"""Bytes of machine code that are kept: what was not used for longest goes first."""


class CodeStore:
    """Machine code by key, in a file; a store that cannot be used, or that others may write to, forgets.

    What was damaged in it is not run.
    """

    def __init__(self, path: Path | None = None, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._database = Database(
            path or home() / "code.sqlite",
            "CREATE TABLE IF NOT EXISTS compiled (key TEXT PRIMARY KEY, code BLOB, digest BLOB, used REAL)",
        )

    def get(self, key: str) -> bytes | None:
        with contextlib.suppress(sqlite3.Error, OSError):
            if not _is_ours(self._database.path):
                return None
            with self._database.opened() as database:
                row = database.execute("SELECT code, digest FROM compiled WHERE key = ?", (key,)).fetchone()
                if row is None or not isinstance(row[0], bytes) or hashlib.sha256(row[0]).digest() != row[1]:
                    return None
                database.execute("UPDATE compiled SET used = ? WHERE key = ?", (time.time(), key))
                return row[0]
        return None

    def put(self, key: str, code: bytes) -> None:
        if len(code) > self._limit:
            return
        row = (key, code, hashlib.sha256(code).digest(), time.time())
        with contextlib.suppress(sqlite3.Error, OSError), self._database.opened() as database:
            database.execute("INSERT OR REPLACE INTO compiled VALUES (?, ?, ?, ?)", row)
            kept = database.execute("SELECT key, length(code) FROM compiled ORDER BY used DESC").fetchall()
            total = 0
            for name, size in kept:
                total += size
                if total > self._limit:
                    database.execute("DELETE FROM compiled WHERE key = ?", (name,))


def _is_ours(path: Path) -> bool:
    """True where nobody but this user may have written the file: what is in it is going to run."""
    if not hasattr(os, "geteuid"):
        return True
    found = path.stat()
    return found.st_uid == os.geteuid() and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
