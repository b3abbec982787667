"""Finding the formula of an operator: by its file name, imported when first asked for."""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from keyword import iskeyword
from typing import Any

from rooftune.ops.operator import Operator
from rooftune.ops.types import ValueType, Work
from rooftune.quantities import Unknown

__all__ = ["file_name", "find", "known_operators", "work_of"]

_FOLDERS = {
    "": "standard",
    "ai.onnx": "standard",
    "com.microsoft": "microsoft",
    "com.ms.internal.nhwc": "microsoft",
    "com.microsoft.nchwc": "nchwc",
}


def file_name(op_type: str) -> str:
    """`BatchNormalization` → `batch_normalization`, `GRU` → `gru`, `QLinearConv` → `q_linear_conv`, `And` → `and_`."""
    spaced = re.sub(r"([A-Z]+)([A-Z][a-z])", r"\1_\2", op_type)
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", spaced).lower()
    return f"{name}_" if iskeyword(name) else name


@cache
def find(domain: str, op_type: str) -> Operator | None:
    """The formula of an operator, or None where nobody wrote one."""
    folder = _FOLDERS.get(domain)
    if folder is None or not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", op_type):
        return None
    module_name = f"rooftune.ops.{folder}.{file_name(op_type)}"
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as why:
        if why.name != module_name:
            raise
        return None
    return next((o for o in _declared(module) if o.name == op_type), None)


def _declared(module: Any) -> Iterator[Operator]:
    for value in vars(module).values():
        described = getattr(value, "operator", None)
        if isinstance(value, type) and isinstance(described, Operator) and value.__module__ == module.__name__:
            yield described


@lru_cache(maxsize=1)
def known_operators() -> tuple[Operator, ...]:
    """Every operator with a formula, in the order of domain and name."""
    found: list[Operator] = []
    for folder in dict.fromkeys(_FOLDERS.values()):
        package = importlib.import_module(f"rooftune.ops.{folder}")
        for info in pkgutil.iter_modules(package.__path__):
            found += _declared(importlib.import_module(f"{package.__name__}.{info.name}"))
    return tuple(sorted(found, key=lambda o: (o.domain, o.name)))


def work_of(
    domain: str,
    op_type: str,
    attributes: Mapping[str, Any],
    inputs: Sequence[ValueType | None],
    outputs: Sequence[ValueType | None],
) -> Work | Unknown:
    """Work of a node with these types; `Unknown(reason)` where no formula exists or a shape is missing."""
    found = find(domain, op_type)
    if found is None:
        return Unknown(f"no formula for {domain or 'ai.onnx'}::{op_type}")
    return found.work(attributes, inputs, outputs)
