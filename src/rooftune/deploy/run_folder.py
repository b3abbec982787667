"""The run folder: written whole or not at all, replaced only when it is one."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from rooftune.errors import InputError

__all__ = ["check_target", "replaced_atomically"]

_MARKS = ("record.json", "deployment.toml")
_ELSEWHERE = "choose another output with -o"


def check_target(folder: Path, *, force: bool = False, keep: Sequence[Path] = ()) -> None:
    """Refuse a target that holds somebody else's files or cannot be written, before any work is done.

    An existing run folder is replaced; anything else only with `force`, and never when it holds one of the files
    to `keep` (the model, the data) or the folder the user is in.
    """
    if folder.exists():
        if not folder.is_dir():
            raise InputError(f"{folder} exists and is not a folder", _ELSEWHERE)
        inside = next((p for p in (Path.cwd(), *keep) if folder.resolve() in (p.resolve(), *p.resolve().parents)), None)
        foreign = any(folder.iterdir()) and not all((folder / mark).is_file() for mark in _MARKS)
        if inside is not None and (foreign or inside == Path.cwd()):
            raise InputError(f"{folder} would be replaced, and {inside} lies in it", _ELSEWHERE)
        if foreign and not force:
            raise InputError(f"{folder} exists and is no run folder of rooftune", f"{_ELSEWHERE}, or add --force")
    parent = folder.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not _writable(parent) or (folder.exists() and not os.access(folder, os.W_OK | os.X_OK)):
        raise InputError(f"cannot write into {parent}", "choose an output folder you may write to with -o")


def _writable(folder: Path) -> bool:
    """Tried, not asked: file systems refuse what permissions allow."""
    try:
        with tempfile.TemporaryDirectory(prefix=".rooftune-", dir=folder):
            return True
    except OSError:
        return False


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
