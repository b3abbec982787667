"""The known machines: the catalog that comes with the package, and the user's own files beside it."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from rooftune.errors import InputError
from rooftune.machine.files import parse_machine, read_machine
from rooftune.machine.spec import Machine

__all__ = ["HOST_FILES", "Listing", "find_machine", "list_machines"]

HOST_FILES = "host-"
"""Beginning of the names of stored probes, which lie in the same folder: several may speak of this one machine."""


@dataclass(frozen=True)
class Listing:
    """Machines by id, and what is wrong with user files that could not be read (one line each)."""

    machines: tuple[Machine, ...]
    problems: tuple[str, ...] = ()


def list_machines(home: Path | None = None) -> Listing:
    """Every machine of the catalog and of `<home>/machines/*.toml`.

    A user's machine takes the place of a catalog machine with the same id. A broken user file is reported in
    `problems` and does not hide the others.
    """
    machines = {machine.id: machine for machine in _catalog()}
    own, broken = _user_machines(home)
    machines.update((machine.id, machine) for machine in own)
    return Listing(tuple(machines[i] for i in sorted(machines)), tuple(str(problem) for problem in broken.values()))


def find_machine(name: str, home: Path | None = None) -> Machine:
    """The machine called `name`: an id, a full name, the beginning of either, or the path of a TOML file.

    Capitals do not matter, blanks stand for dashes, and the vendor may be left out: `h200` finds `nvidia-h200-sxm`.
    The user's files are searched before the catalog. Raises `InputError` with close matches for a name nobody has,
    with the candidates for one that several have, and with what is wrong for a broken file.
    """
    if name.endswith(".toml") or "/" in name or "\\" in name:
        return read_machine(name)
    wanted = _spelling(name)
    own, broken = _user_machines(home)
    if wanted in broken:
        raise broken[wanted]
    catalog = tuple(machine for machine in _catalog() if machine.id not in {m.id for m in own})
    for machines in (own, catalog):
        exact = [m for m in machines if wanted in _spellings(m)]
        if len(exact) == 1:
            return exact[0]
    everybody = (*own, *catalog)
    begins = [m for m in everybody if wanted and any(text.startswith(wanted) for text in _spellings(m))]
    if len(begins) == 1:
        return begins[0]
    if begins:
        ids = ", ".join(sorted(m.id for m in begins)[:12])
        raise InputError(f"{name!r} is the beginning of {len(begins)} machines", f"choose one of {ids}")
    raise InputError(f"no machine is called {name!r}", _suggestion(wanted, everybody))


def _spelling(text: str) -> str:
    return "-".join(text.casefold().replace("_", " ").replace("-", " ").split())


def _spellings(machine: Machine) -> tuple[str, ...]:
    """What a machine answers to: its id and its name, with and without the vendor."""
    vendor = _spelling(machine.vendor).split("-")[0] + "-"
    full = (_spelling(machine.id), _spelling(machine.name))
    return (*full, *(text.removeprefix(vendor) for text in full))


def _suggestion(wanted: str, machines: tuple[Machine, ...]) -> str:
    names = {text: m.id for m in machines for text in _spellings(m)}
    close = difflib.get_close_matches(wanted, names, 4, 0.5) + [n for n in names if wanted and wanted in n]
    ids = list(dict.fromkeys(names[n] for n in close))[:5]
    return f"did you mean {' or '.join(ids)}?" if ids else "see `rooftune machine list`, or give a TOML file"


def _user_machines(home: Path | None) -> tuple[tuple[Machine, ...], dict[str, InputError]]:
    """Machines of the user's folder, and the errors of broken files by the file's name without its ending."""
    machines: dict[str, Machine] = {}
    broken: dict[str, InputError] = {}
    for path in sorted((home / "machines").glob("*.toml")) if home is not None else ():
        if path.name.startswith(HOST_FILES):
            continue
        try:
            machine = read_machine(path)
        except InputError as problem:
            broken[_spelling(path.stem)] = problem
            continue
        if machine.id in machines:
            cause = f"{path}: id: {machine.id!r} is used by another file in the same folder"
            broken[_spelling(path.stem)] = InputError(cause, "give each machine an id of its own")
        else:
            machines[machine.id] = machine
    return tuple(machines.values()), broken


@cache
def _catalog() -> tuple[Machine, ...]:
    folder = resources.files("rooftune.machine").joinpath("catalog")
    files = sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name)
    return tuple(parse_machine(f.read_text(encoding="utf-8"), f"catalog/{f.name}") for f in files)
