"""What a core design can do in one clock cycle, from a table with sources; never fitted to a measurement."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from rooftune.machine.spec import Standing
from rooftune.machine.topology import CoreType, Topology
from rooftune.quantities import Unknown

__all__ = ["Microarchitecture", "identify", "known_microarchitectures", "theoretical_flops_per_cycle"]

_BITS = {"fp64": 64, "fp32": 32, "fp16": 16, "bf16": 16, "int8": 8}


@dataclass(frozen=True)
class Microarchitecture:
    """Arithmetic throughput of one core.

    per_cycle   number format -> vector width in bits -> instructions per cycle: fused multiply-adds for fp64, fp32
                and fp16, dot products that add two (bf16) or four (int8) products to a 32-bit sum
    matrix      number format -> FLOP per cycle of the matrix instructions (AMX, Arm's matrix multiply)
    """

    id: str
    name: str
    standing: Standing
    per_cycle: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    matrix: Mapping[str, float] = field(default_factory=dict)


def identify(topology: Topology, cpu: int | None = None) -> Microarchitecture | Unknown:
    """The core design of a logical core (default: of the first usable core).

    x86 is recognised by vendor, family and model, ARM by implementer and part. Series of one model that differ
    in their units (Intel servers with one or two 512-bit multiply-adders) are told apart by the processor's name.
    """
    core = _core_type(topology, cpu)
    if core is None:
        return Unknown("the system does not say what processor this is")
    for entry in _table():
        if _matches(entry, topology.vendor, core):
            return _build(entry, topology.name)
    return Unknown(f"no microarchitecture in the table for {_numbers(topology, core)}")


def known_microarchitectures() -> tuple[Microarchitecture, ...]:
    """Every entry of the table, without the distinctions that need a processor's name."""
    return tuple(_build(entry, "") for entry in _table())


def theoretical_flops_per_cycle(
    micro: Microarchitecture | Unknown, number_format: str, vector_bits: int, engine: str = "vector"
) -> float | Unknown:
    """FLOP per cycle of one core: instructions per cycle · elements per vector · 2 (one multiply-accumulate = 2).

    Widths below 128 bits (scalar code) issue as often as 128-bit vectors. For `engine="matrix"` the width plays
    no part. `Unknown` where the table has no entry.
    """
    if isinstance(micro, Unknown):
        return micro
    if engine == "matrix":
        rate = micro.matrix.get(number_format)
        return Unknown(f"{micro.name} has no known matrix rate for {number_format}") if rate is None else float(rate)
    widths = micro.per_cycle.get(number_format)
    if not widths or number_format not in _BITS:
        return Unknown(f"{micro.name} has no known instruction rate for {number_format}")
    issued = widths.get(max(vector_bits, 128))
    if issued is None or vector_bits < _BITS[number_format]:
        return Unknown(f"{micro.name} has no known instruction rate for {number_format} on {vector_bits}-bit vectors")
    return issued * (vector_bits / _BITS[number_format]) * 2


@cache
def _table() -> tuple[dict[str, Any], ...]:
    text = resources.files("rooftune.machine").joinpath("microarchitectures.toml").read_text(encoding="utf-8")
    return tuple(tomllib.loads(text)["microarchitecture"])


def _core_type(topology: Topology, cpu: int | None) -> CoreType | None:
    if cpu is None:
        return topology.core_types[0] if topology.core_types else None
    return next((core for core in topology.core_types if cpu in core.cpus), None)


def _matches(entry: Mapping[str, Any], vendor: str, core: CoreType) -> bool:
    if core.role not in entry.get("roles", (core.role,)):
        return False
    if "implementer" in entry:
        return bool(core.implementer == entry["implementer"] and core.part in entry["parts"])
    if vendor != entry["vendor"] or core.family != entry["family"] or core.model is None:
        return False
    return any(low <= core.model <= high for low, high in entry["models"])


def _build(entry: Mapping[str, Any], processor_name: str) -> Microarchitecture:
    """An entry of the table with the changes that the first fitting variant makes to it."""
    rates = {fmt: {int(w): float(n) for w, n in widths.items()} for fmt, widths in entry["per_cycle"].items()}
    note = entry.get("note", "")
    for variant in entry.get("variant", ()):
        if re.search(variant["name"], processor_name):
            for fmt in variant.get("formats", tuple(rates)):
                rates.setdefault(fmt, {})[512] = float(variant["rate_512"])
            note = f"{note} {variant.get('note', '')}".strip()
            break
    standing = Standing(entry["standing"], entry["source"], entry["date"], note)
    return Microarchitecture(entry["id"], entry["name"], standing, rates, dict(entry.get("matrix", {})))


def _numbers(topology: Topology, core: CoreType) -> str:
    if core.implementer is not None:
        return f"implementer {core.implementer:#x}, part {core.part or 0:#x}"
    return f"{topology.vendor or 'an unnamed vendor'}, family {core.family}, model {core.model}"
