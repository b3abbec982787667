"""Reading the fusion data files."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any

from rooftune.errors import InputError

__all__ = ["FusionRules", "Group", "Pattern", "Quantised", "Slot", "fusion_rules", "known_backends"]


@dataclass(frozen=True)
class Pattern:
    """Several operators that compute one function, in the order in which they follow each other.

    operands  True where further operands may come from outside; else everything but one tensor is constant
    around    operators before and behind it that the kernel takes in where nobody else needs their tensors
    orders    of Transpose among them, only those of these axis orders; empty = any
    """

    name: str
    ops: tuple[str, ...]
    operands: bool = False
    around: frozenset[str] = frozenset()
    orders: frozenset[tuple[int, ...]] = frozenset()


@dataclass(frozen=True)
class Slot:
    """A place behind an anchor that one of `ops` (or of the named patterns) may fill.

    other  `constant` or `tensor`: what the second operand must be; empty = either
    many   the slot may be filled again and again
    after  only behind these anchors
    ungrouped  only behind a convolution of one group or a depthwise one
    """

    ops: frozenset[str] = frozenset()
    patterns: frozenset[str] = frozenset()
    other: str = ""
    many: bool = False
    after: frozenset[str] = frozenset()
    ungrouped: bool = False


@dataclass(frozen=True)
class Group:
    """An operator that starts a kernel, what is fused behind it, and what is taken in before its inputs."""

    anchor: frozenset[str]
    slots: tuple[Slot, ...] = ()
    before: tuple[Slot, ...] = ()


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
        patterns=tuple(_pattern(p) for p in data.get("pattern", ())),
        groups=tuple(
            Group(
                frozenset(g["anchor"]),
                tuple(_slot(s) for s in g.get("slots", ())),
                tuple(_slot(s) for s in g.get("before", ())),
            )
            for g in data.get("group", ())
        ),
        quantised=tuple(
            Quantised(frozenset(q["ops"]), frozenset(q.get("epilogue", ()))) for q in data.get("quantised", ())
        ),
    )


def _pattern(data: Mapping[str, Any]) -> Pattern:
    orders = frozenset(tuple(order) for order in data.get("orders", ()))
    around = frozenset(data.get("around", ()))
    return Pattern(data["name"], tuple(data["ops"]), data.get("operands", False), around, orders)


def _slot(data: Mapping[str, Any]) -> Slot:
    stray = set(data) - {"ops", "patterns", "other", "many", "after", "ungrouped"}
    if stray:
        raise ValueError(f"a fusion slot has unknown keys {sorted(stray)}")
    return Slot(
        ops=frozenset(data.get("ops", ())),
        patterns=frozenset(data.get("patterns", ())),
        other=data.get("other", ""),
        many=data.get("many", False),
        after=frozenset(data.get("after", ())),
        ungrouped=data.get("ungrouped", False),
    )
