"""The host's ceilings, measured once and remembered: in the user's cache folder, or where ROOFTUNE_HOME says."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import sys
import time
import warnings
from collections.abc import Iterator
from pathlib import Path

from rooftune.errors import InputError
from rooftune.execute.probe.probe import probe_host
from rooftune.machine.files import read_machine, write_machine
from rooftune.machine.spec import Machine
from rooftune.machine.topology import Topology, read_topology, usable_threads
from rooftune.protocols import Progress

__all__ = ["home", "host_machine", "store_machine", "stored_machine", "stored_path"]

_PROBE_VERSION = 2
"""Raised when a change of the probe makes older results incomparable."""

_WAIT_SECONDS = 0.1


def home() -> Path:
    """The folder in which Rooftune remembers things.

    `ROOFTUNE_HOME` where it is set, else `rooftune` in the user's cache folder: `XDG_CACHE_HOME` (if absolute, as
    its specification asks) or `~/.cache`, `~/Library/Caches` on macOS, `%LOCALAPPDATA%` on Windows.
    """
    named = os.environ.get("ROOFTUNE_HOME", "")
    if named:
        return Path(named).expanduser().absolute()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        return (Path(local) if local else Path.home() / "AppData" / "Local") / "rooftune" / "Cache"
    cache = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if cache.is_absolute():
        return cache / "rooftune"
    return Path.home() / ("Library/Caches" if sys.platform == "darwin" else ".cache") / "rooftune"


def stored_path(topology: Topology | None = None, quick: bool = False) -> Path:
    """File of the host's ceilings: a different processor, affinity or quota has another file."""
    topology = topology or read_topology()
    identity = [
        _PROBE_VERSION,
        topology.architecture,
        topology.vendor,
        topology.name,
        [dataclasses.asdict(core) for core in topology.core_types],
        topology.isa,
        topology.cores,
        usable_threads(topology),
    ]
    digest = hashlib.sha256(json.dumps(identity).encode()).hexdigest()[:16]
    return home() / "machines" / f"host-{digest}{'-quick' if quick else ''}.toml"


def stored_machine(quick: bool = False) -> Machine | None:
    """The ceilings measured earlier on this processor with the cores this process may use now, or None.

    quick   accept a quick probe where there is no full one

    A file that cannot be read is passed over with a warning.
    """
    topology = read_topology()
    for path in (stored_path(topology), *([stored_path(topology, quick=True)] if quick else [])):
        if not path.exists():
            continue
        try:
            return read_machine(path)
        except InputError as problem:
            warnings.warn(f"{problem.cause}: the computer will be measured again", RuntimeWarning, stacklevel=2)
    return None


def store_machine(machine: Machine, quick: bool = False) -> Path:
    """Remember the host's ceilings, whole or not at all. Raises `InputError` where nothing can be written."""
    path = stored_path(quick=quick)
    write_machine(machine, path)
    return path


def host_machine(progress: Progress | None = None, quick: bool = False) -> Machine:
    """The ceilings of this computer: those remembered, or measured now and remembered.

    Of several processes that ask at once one measures and the others wait for it: measuring together would spoil
    the numbers. Where nothing can be written the result is measured and returned with a warning.
    """
    path = stored_path(quick=quick)
    found = stored_machine(quick)
    if found is not None:
        return found
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = path.with_suffix(".lock").open("a+b")
    except OSError as problem:
        warnings.warn(f"{path.parent} cannot be written ({problem.strerror}): measured anew each time", stacklevel=2)
        return probe_host(progress, quick)
    with lock, _alone(lock.fileno()):
        found = stored_machine(quick) if path.exists() else None
        if found is not None:
            return found
        machine = probe_host(progress, quick)
        try:
            write_machine(machine, path)
        except InputError as problem:
            warnings.warn(f"the result is not remembered: {problem.cause}", stacklevel=2)
        return machine


@contextlib.contextmanager
def _alone(file: int) -> Iterator[None]:
    """Hold the lock of a file; the system frees it should the process die."""
    while not _locked(file):
        time.sleep(_WAIT_SECONDS)
    try:
        yield
    finally:
        _unlock(file)


if sys.platform == "win32":
    import msvcrt

    def _locked(file: int) -> bool:
        os.lseek(file, 0, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: int) -> None:
        os.lseek(file, 0, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)

else:
    import fcntl

    def _locked(file: int) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _unlock(file: int) -> None:
        fcntl.flock(file, fcntl.LOCK_UN)
