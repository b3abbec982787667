"""Does a node fit the definition of its operator: inputs, outputs, attributes?

onnx's inference trusts nodes that pass; on others it reads what is not there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import onnx

from rooftune.errors import InputError

__all__ = ["Definition", "check_node", "definition"]

_EQUATION = re.compile(rb"[A-Za-z., ]*(->[A-Za-z. ]*)?")
"""Equations of Einsum; onnx's inference reads others beyond the bounds of its tables."""

_AXES = frozenset({"axes", "axis", "batch_axis", "batch_dims", "perm", "time_axis"})
MAX_AXIS = 1024


@dataclass(frozen=True)
class Definition:
    """What an operator asks of a node: bounds, inputs that must be given, attributes by name with their types."""

    inputs: tuple[int, int]
    outputs: tuple[int, int]
    given: tuple[int, ...]
    attributes: dict[str, int]
    required: frozenset[str]


@lru_cache(maxsize=4096)
def definition(domain: str, operator: str, version: int) -> Definition | None:
    """The definition of an operator in a version of its set; None where there is none or it was withdrawn."""
    try:
        schema = onnx.defs.get_schema(operator, version, domain)
    except onnx.defs.SchemaError:
        return None
    if schema.deprecated and _withdrawn(operator, domain):
        return None
    single = onnx.defs.OpSchema.FormalParameterOption.Single
    return Definition(
        (schema.min_input, schema.max_input),
        (schema.min_output, schema.max_output),
        tuple(i for i, parameter in enumerate(schema.inputs) if parameter.option == single),
        {name: _attribute_type(a) for name, a in schema.attributes.items()},
        frozenset(name for name, a in schema.attributes.items() if a.required),
    )


def _withdrawn(operator: str, domain: str) -> bool:
    """True for an operator that no later set has again; GroupNormalization was merely written anew."""
    versions = [s for s in onnx.defs.get_all_schemas_with_history() if (s.name, s.domain) == (operator, domain)]
    return max(versions, key=lambda s: s.since_version).deprecated


def check_node(node: onnx.NodeProto, wanted: Definition) -> None:
    """Raise `InputError` where the node does not fit the definition."""
    count = len(node.input)
    if not wanted.inputs[0] <= count <= wanted.inputs[1]:
        raise _misfit(node, f"has {count} inputs where {_range(*wanted.inputs)} belong")
    if not wanted.outputs[0] <= len(node.output) <= wanted.outputs[1]:
        raise _misfit(node, f"has {len(node.output)} outputs where {_range(*wanted.outputs)} belong")
    for place in wanted.given:
        if place >= count or not node.input[place]:
            raise _misfit(node, f"lacks its input {place}, which it cannot do without")
    found: set[str] = set()
    for attribute in node.attribute:
        name, kind = attribute.name, attribute.type
        found.add(name)
        expected = wanted.attributes.get(name)
        if expected is not None and kind != expected:
            raise _misfit(node, f"has the attribute {name} of type {_kind(kind)} where {_kind(expected)} belongs")
        if name in _AXES and not all(-MAX_AXIS <= a <= MAX_AXIS for a in (attribute.i, *attribute.ints)):
            raise _misfit(node, f"has an impossible {name}")
        if name == "equation" and not attribute.ref_attr_name and not _EQUATION.fullmatch(attribute.s):
            raise _misfit(node, f"has the impossible equation {attribute.s[:60]!r}")
    if not wanted.required <= found:
        raise _misfit(node, f"lacks the attribute {min(wanted.required - found)}")


def _attribute_type(attribute: Any) -> int:
    return int(attribute.type.value)


def _kind(number: int) -> str:
    return str(onnx.AttributeProto.AttributeType.Name(number)).lower()


def _range(low: int, high: int) -> str:
    if low == high:
        return str(low)
    return f"{low} or more" if high > 1 << 20 else f"{low} to {high}"


def _misfit(node: onnx.NodeProto, what: str) -> InputError:
    return InputError(f"node {node.name or '(unnamed)'} ({node.op_type}) {what}", "export the model again")
