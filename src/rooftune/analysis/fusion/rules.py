"""Reading the fusion data files."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources

from rooftune.errors import InputError

__all__ = ["FusionRules", "Group", "Pattern", "Quantised", "Slot", "fusion_rules", "known_backends"]


@dataclass(frozen=True)
class Pattern:
    """Several operators that compute one function, in the order in which they follow each other."""

    name: str
    ops: tuple[str, ...]


@dataclass(frozen=True)
class Slot:
    """A place behind an anchor that one of `ops` (or of the named patterns) may fill.

    other  `constant` or `tensor`: what the second operand must be; empty = either
    many   the slot may be filled again and again
    after  only behind these anchors
    """

    ops: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    other: str = ""
    many: bool = False
    after: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Group:
    """An operator that starts a kernel and what is fused behind it."""

    anchor: frozenset[str]
    slots: tuple[Slot, ...] = ()


@dataclass(frozen=True)
class Quantised:
    """Operators that become one integer kernel between DequantizeLinear and QuantizeLinear."""

    ops: frozenset[str]
    epilogue: frozenset[str] = frozenset()


@dataclass(frozen=True)
class FusionRules:
    backend: str
    source: str
    views: frozenset[str]
    patterns: tuple[Pattern, ...]
    groups: tuple[Group, ...]
    quantised: tuple[Quantised, ...]


def known_backends() -> tuple[str, ...]:
    """Backends whose groups are written down."""
    folder = resources.files("rooftune.analysis.fusion")
    return tuple(sorted(f.name.removesuffix(".toml") for f in folder.iterdir() if f.name.endswith(".toml")))


@lru_cache(maxsize=8)
def fusion_rules(backend: str) -> FusionRules:
    """The rules of a backend, from its data file."""
    if backend not in known_backends():
        raise InputError(
            f"no fusion groups are written down for {backend!r}", f"choose one of {', '.join(known_backends())}"
        )
    text = resources.files("rooftune.analysis.fusion").joinpath(f"{backend}.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    return FusionRules(
        backend=data["backend"],
        source=data["source"],
        views=frozenset(data.get("views", ())),
        patterns=tuple(Pattern(p["name"], tuple(p["ops"])) for p in data.get("pattern", ())),
        groups=tuple(
            Group(frozenset(g["anchor"]), tuple(_slot(s) for s in g.get("slots", ()))) for g in data.get("group", ())
        ),
        quantised=tuple(
            Quantised(frozenset(q["ops"]), frozenset(q.get("epilogue", ()))) for q in data.get("quantised", ())
        ),
    )


def _slot(data: dict[str, object]) -> Slot:
    known = {"ops", "patterns", "other", "many", "after"}
    stray = set(data) - known
    if stray:
        raise ValueError(f"a fusion slot has unknown keys {sorted(stray)}")
    sets = {k: frozenset(data[k]) for k in ("ops", "patterns", "after") if k in data}  # type: ignore[call-overload]
    return Slot(other=str(data.get("other", "")), many=bool(data.get("many", False)), **sets)
