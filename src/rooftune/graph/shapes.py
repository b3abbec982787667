"""Shapes of every value of a model, inferred without ever serialising its weights.

Two passes: one bulk call of onnx's inference on the graph without weights, and a repair of what it leaves open
(`repair.py`). Shapes that the file declares are not trusted but compared.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import onnx
import onnx.shape_inference
import onnx_ir as ir

from rooftune.graph.repair import Repair
from rooftune.graph.skeleton_proto import skeleton_proto, take_shapes
from rooftune.graph.tensors_in import graphs_in

__all__ = ["Declared", "contradiction", "infer", "infer_in_bulk", "repair_shapes", "set_declared_aside"]

Declared = Mapping[str, onnx.TypeProto]


def infer(model: ir.Model) -> list[str]:
    """Infer the shapes of all values of a graph again, after it was changed; returns warnings.

    Shapes that values carry from before are kept only behind operators that nothing is known of.
    """
    warnings: list[str] = []
    proto = skeleton_proto(model)
    set_declared_aside(proto)
    take_shapes(model, infer_in_bulk(proto, warnings))
    repair_shapes(model, {}, warnings)
    return warnings


def infer_in_bulk(model: onnx.ModelProto, warnings: list[str]) -> onnx.ModelProto:
    """onnx's inference of a whole model without weights; the model as it was where onnx rejects it.

    Without its data propagation, which takes time and memory by the length of one-dimensional tensors; the repair
    follows the values that matter.
    """
    try:
        return onnx.shape_inference.infer_shapes(model)
    except Exception as why:  # several types, among them plain RuntimeError
        warnings.append(f"onnx's shape inference stopped: {_first_line(why)}")
        return model


def set_declared_aside(model: onnx.ModelProto) -> dict[str, onnx.TypeProto]:
    """Take the declared shapes of values that can be inferred out of the graph; returns them by name.

    Shapes of inputs stay, and those of values behind operators that nothing is known of.
    """
    imports = {o.domain for o in model.opset_import} - {"", "ai.onnx", "ai.onnx.ml"}
    declared: dict[str, onnx.TypeProto] = {}
    for graph in (model.graph, *graphs_in(model.graph.node)):
        foreign = {o for n in graph.node if n.domain in imports for o in n.output} if imports else set()
        kept = []
        for info in graph.value_info:
            declared.setdefault(info.name, info.type)
            if info.name in foreign:
                kept.append(info)
        declared = {name: _copy(kind) for name, kind in declared.items()}
        kept = [_copy_info(info) for info in kept]
        del graph.value_info[:]
        graph.value_info.extend(kept)
        for info in graph.output:
            if info.name not in foreign and info.type.HasField("tensor_type"):
                declared[info.name] = _copy(info.type)
                info.type.tensor_type.ClearField("shape")
    return declared


def repair_shapes(model: ir.Model, declared: Declared, warnings: list[str]) -> None:
    """Complete the shapes in place and compare them with the declared ones."""
    Repair(model.opset_imports, model.functions, declared).run(model.graph)
    made = ((v.name or "", v.shape.dims) for node in model.graph for v in node.outputs if v.shape is not None)
    warnings += contradiction(made, declared)


def contradiction(made: Iterable[tuple[str, Sequence[Any]]], declared: Declared) -> list[str]:
    """A warning where dimensions that were worked out, by name of the value, are not what the file declares."""
    found = list(_contradictions(made, declared))
    if not found:
        return []
    return [f"a declared shape is wrong: {found[0]}" + (f" (and {len(found) - 1} more)" if len(found) > 1 else "")]


def _contradictions(made: Iterable[tuple[str, Sequence[Any]]], declared: Declared) -> Iterator[str]:
    for name, shape in made:
        kind = declared.get(name)
        if kind is None or not kind.tensor_type.HasField("shape"):
            continue
        dims = kind.tensor_type.shape.dim
        wrong = len(dims) != len(shape) or any(
            d.HasField("dim_value") and isinstance(size, int) and size != d.dim_value for d, size in zip(dims, shape)
        )
        if wrong:
            said = [d.dim_value if d.HasField("dim_value") else d.dim_param or "?" for d in dims]
            yield f"{name} is said to be {said} and is {list(map(str, shape))}".replace("'", "")


def _copy(kind: onnx.TypeProto) -> onnx.TypeProto:
    copy = onnx.TypeProto()
    copy.CopyFrom(kind)
    return copy


def _copy_info(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(info)
    return copy


def _first_line(why: Exception) -> str:
    return next(iter(str(why).strip().splitlines()), type(why).__name__)[:200]
