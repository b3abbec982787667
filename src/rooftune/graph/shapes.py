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
    inner = list(graphs_in(proto.graph.node))
    set_declared_aside(proto, inner)
    take_shapes(model, infer_in_bulk(proto, inner, warnings))
    repair_shapes(model, {}, warnings)
    return warnings


def infer_in_bulk(model: onnx.ModelProto, inner: Sequence[onnx.GraphProto], warnings: list[str]) -> onnx.ModelProto:
    """onnx's inference of a whole model without weights; the model as it was where onnx rejects it.

    `inner` are the graphs inside its nodes. What is inferred of a model that has none is written into it.
    Without its data propagation, which takes time and memory by the length of one-dimensional tensors; the repair
    follows the values that matter.
    """
    flat = not (inner or model.functions)
    try:
        found = onnx.shape_inference.infer_shapes(_without_notes(model) if flat else model)
    except Exception as why:  # several types, among them plain RuntimeError
        warnings.append(f"onnx's shape inference stopped: {_first_line(why)}")
        return model
    if not flat:
        return found
    for mine, inferred in ((model.graph.value_info, found.graph.value_info), (model.graph.output, found.graph.output)):
        del mine[:]
        mine.extend(inferred)
    return model


def _without_notes(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without what exporters note about nodes, often most of the text: the way to inference and back is long."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    for node in copy.graph.node:
        node.ClearField("metadata_props")
        node.ClearField("doc_string")
    return copy


def set_declared_aside(model: onnx.ModelProto, inner: Sequence[onnx.GraphProto]) -> dict[str, onnx.TypeProto]:
    """Take the declared shapes of values that can be inferred out of the graph and its inner ones, by name.

    Shapes of inputs stay, also where they are outputs, and those of values behind operators that nothing is known of.
    """
    imports = {o.domain for o in model.opset_import} - {"", "ai.onnx", "ai.onnx.ml"}
    declared: dict[str, onnx.TypeProto] = {}
    for graph in (model.graph, *inner):
        foreign = {o for n in graph.node if n.domain in imports for o in n.output} if imports else set()
        aside = onnx.GraphProto(value_info=graph.value_info)
        del graph.value_info[:]
        for info in aside.value_info:
            declared.setdefault(info.name, info.type)
        if foreign:
            graph.value_info.extend(info for info in aside.value_info if info.name in foreign)
        given = {i.name for i in graph.input} | {i.name for i in graph.initializer}
        for info in graph.output:
            if info.name not in foreign | given and info.type.HasField("tensor_type"):
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
        if kind is None:
            continue
        dims = kind.tensor_type.shape.dim
        if tuple([d.dim_value for d in dims]) == tuple(shape) or not kind.tensor_type.HasField("shape"):
            continue
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


def _first_line(why: Exception) -> str:
    return next(iter(str(why).strip().splitlines()), type(why).__name__)[:200]
