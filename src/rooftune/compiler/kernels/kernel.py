"""What the program knows of a kernel: which operation it runs, what it is called, its code and its weights."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from rooftune.compiler.emit.work import Phase
from rooftune.compiler.maps import Halo, Map
from rooftune.compiler.operations import Floats, Operation
from rooftune.compiler.target import Target

__all__ = ["Kernel", "kernel_of"]

Numbers = Callable[[str], Floats]
"""The numbers of a constant, by its name."""


def _no_parts(op: Any) -> tuple[str, ...]:
    return ()


def _no_weights(op: Any, numbers: Numbers, maps: Mapping[str, Map]) -> dict[str, Floats]:
    return {}


def _no_halo(op: Any, maps: Mapping[str, Map]) -> Halo:
    return (0, 0, 0, 0)


@dataclass(frozen=True)
class Kernel:
    """The only way to run an operation. (Convolutions have several: see `choose.py`.)

    operation  the class it runs
    says       what it is called in lists and reports
    emit       its phases, from the name of its function, the operation, the maps of all values, and the target
    parts      names of what it keeps in packed weights
    weights    these weights, each as one row of fp32 numbers
    halo       zeros it needs around `x`, from the operation and the maps of all values
    """

    operation: type[Operation]
    says: Callable[[Any], str]
    emit: Callable[[str, Any, Mapping[str, Map], Target], list[Phase]]
    parts: Callable[[Any], tuple[str, ...]] = _no_parts
    weights: Callable[[Any, Numbers, Mapping[str, Map]], dict[str, Floats]] = _no_weights
    halo: Callable[[Any, Mapping[str, Map]], Halo] = _no_halo


@cache
def _kernels() -> Mapping[type[Operation], Kernel]:
    import rooftune.compiler.kernels as folder

    found = {}
    for module in sorted(m.name for m in pkgutil.iter_modules(folder.__path__)):
        loaded = importlib.import_module(f"{folder.__name__}.{module}")
        for kernel in getattr(loaded, "KERNELS", ()):
            found[kernel.operation] = kernel
    return found


def kernel_of(op: Operation) -> Kernel:
    """The kernel that runs an operation."""
    return _kernels()[type(op)]
