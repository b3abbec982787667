"""Engines that only the benchmarks run: the files of `backends/`, each with a `BACKEND` as in the package itself.

A worker is a process of its own that finds its engines by scanning the package's folder of backends. `register` adds
ours to that folder's path, here and, by the module that Python imports at the start of a process, in every worker.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import rooftune.execute.backends
from rooftune.errors import RooftuneError
from rooftune.execute.backend import find_backend, known_backends

__all__ = ["present", "register", "versions"]

FOLDER = Path(__file__).parent / "backends"


def register() -> None:
    """Make the engines of the benchmarks known to this process and to those it starts."""
    places = rooftune.execute.backends.__path__
    if str(FOLDER) in places:
        return
    places.append(str(FOLDER))
    known_backends.cache_clear()
    inherited = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = os.pathsep.join([str(FOLDER / "site"), *([inherited] if inherited else [])])


def present(names: Sequence[str]) -> tuple[str, ...]:
    """Those engines that can run here, in the order given; of the others one line each on standard error."""
    found = []
    for name in names:
        try:
            found.append(find_backend(name).name)
        except RooftuneError as why:
            print(f"left out: {why}", file=sys.stderr, flush=True)
    return tuple(found)


def versions(names: Sequence[str]) -> dict[str, str]:
    """Version of every engine, by name."""
    return {name: known_backends()[name].version() for name in names}
