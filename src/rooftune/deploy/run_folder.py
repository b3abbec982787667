"""The run folder: written whole or not at all, replaced only when it is one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rooftune.errors import InputError

__all__ = ["check_target", "replaced_atomically"]

_MARKS = ("record.json", "deployment.toml")


def check_target(folder: Path, *, force: bool = False) -> None:
    """Refuse a target that holds somebody else's files or cannot be written, before any work is done.

    An existing run folder is replaced; anything else only with `force`.
    """
    if folder.exists():
        if not folder.is_dir():
            raise InputError(f"{folder} exists and is not a folder", "choose another output with -o")
        foreign = any(folder.iterdir()) and not all((folder / mark).is_file() for mark in _MARKS)
        if foreign and not force:
            raise InputError(
                f"{folder} exists and is no run folder of rooftune", "choose another output with -o, or add --force"
            )
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"cannot write into {parent}", "choose an output folder you may write to with -o")
    if folder.exists() and not os.access(folder, os.W_OK | os.X_OK):
        raise InputError(f"cannot write into {folder}", "choose an output folder you may write to with -o")


@contextmanager
def replaced_atomically(folder: Path) -> Iterator[Path]:
    """A fresh folder beside `folder` that takes its place when the block ends well, and vanishes when it does not."""
    folder = folder.absolute()
    folder.parent.mkdir(parents=True, exist_ok=True)
    fresh = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        fresh.chmod(0o755)
        yield fresh
        if folder.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{folder.name}.old.", dir=folder.parent))
            folder.replace(old / "was")
            try:
                fresh.replace(folder)
            except OSError:
                (old / "was").replace(folder)
                raise
            finally:
                shutil.rmtree(old, ignore_errors=True)
        else:
            fresh.replace(folder)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise
