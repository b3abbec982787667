"""Small graphs written as text: ONNX's own format in, one line per node out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
from onnx import numpy_helper

from rooftune.errors import InputError
from rooftune.graph.constants import is_constant
from rooftune.graph.load import load_proto
from rooftune.graph.model import Model

__all__ = ["graph_lines", "model_of_text", "node_line"]


def model_of_text(text: str, *, opset: int = 20, seed: int = 0) -> Model:
    """A model from a graph in ONNX's text format.

    Values declared between < > that no node makes become weights: random numbers, positive ones where the name
    begins with `var`, or what the text gives them. InputError where the text cannot be read.
    """
    header = f'<ir_version: 10, opset_import: ["" : {opset}, "com.microsoft" : 1]> example '
    try:
        proto = onnx.parser.parse_model(header + text.strip())
    except onnx.parser.ParseError as why:
        raise InputError(f"the graph text cannot be read: {why}", "see ONNX's text syntax") from why
    graph = proto.graph
    made = {name for node in graph.node for name in node.output}
    random = np.random.default_rng(seed)
    kept = []
    for info in graph.value_info:
        if info.name in made:
            kept.append(info)
            continue
        kind = info.type.tensor_type
        shape = [d.dim_value for d in kind.shape.dim]
        values = random.uniform(0.5, 1.5, shape) if info.name.startswith("var") else random.standard_normal(shape)
        dtype = onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type)
        graph.initializer.append(numpy_helper.from_array(np.asarray(values).astype(dtype), info.name))
    del graph.value_info[:]
    graph.value_info.extend(kept)
    return load_proto(proto)


def graph_lines(model: Model) -> list[str]:
    """One line per node of the main graph: `y = Conv<group=2>(x, #)`; `#` is any constant, `v1 ...` unnamed values.

    Values keep their names where they are inputs, outputs or short; attributes stand in alphabetical order.
    """
    names: dict[int, str] = {}
    return [_line(node, names) for node in model.ir.graph]


def node_line(node: ir.Node, inputs: Sequence[ir.Value | None] | None = None) -> str:
    """The node in one line under the names its values have; constants as `#` with their sizes: `#64x3x7x7`.

    inputs  what a node that was taken out of its graph had read
    """
    read = [_shown(v) for v in (node.inputs if inputs is None else inputs)]
    return _written_line(node, read, [v.name or "" for v in node.outputs])


def _shown(value: ir.Value | None) -> str:
    if value is None:
        return ""
    if not is_constant(value):
        return value.name or "?"
    return "#" + "x".join(str(d) for d in value.shape or ())


def _line(node: ir.Node, names: dict[int, str]) -> str:
    inputs = ["" if v is None else "#" if is_constant(v) else _name(v, names) for v in node.inputs]
    return _written_line(node, inputs, [_name(v, names) for v in node.outputs if v.name])


def _written_line(node: ir.Node, inputs: list[str], outputs: list[str]) -> str:
    attributes = ", ".join(sorted(_attributes(node)))
    op = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
    return f"{', '.join(outputs)} = {op}{f'<{attributes}>' if attributes else ''}({', '.join(inputs)})"


def _name(value: ir.Value, names: dict[int, str]) -> str:
    known = value.name or ""
    if value.is_graph_input() or value.is_graph_output() or "_" not in known:
        return known
    return names.setdefault(id(value), f"v{len(names) + 1}")


def _attributes(node: ir.Node) -> Iterator[str]:
    for attribute in node.attributes.values():
        yield f"{attribute.name}={'...' if attribute.is_ref() else _written(attribute.value)}"


def _written(value: Any) -> str:
    if isinstance(value, float):
        text = f"{value:.6g}"
        return text if set(text) & set(".en") else f"{text}.0"
    if isinstance(value, int | str):
        return str(value)
    if isinstance(value, list | tuple):
        return "[" + ",".join(_written(v) for v in value) + "]"
    return "..."
