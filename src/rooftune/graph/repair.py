"""The second pass of shape inference: node by node, for what the bulk pass leaves open.

It knows small values (so a Reshape to a computed shape resolves), does arithmetic on open dimensions, walks into
branches and loops, and gives every dimension that only the run decides a name, such as `NonZero_3_d1`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import onnx
import onnx_ir as ir
from onnx_ir import serde

from rooftune.graph.control_flow_shapes import CONTROL_FLOW
from rooftune.graph.microsoft_shapes import MICROSOFT, element_type
from rooftune.graph.node_shapes import infer_node
from rooftune.graph.open_shapes import RULES, Dims
from rooftune.graph.small_values import SmallValues, attribute
from rooftune.graph.stored_tensor import StoredTensor
from rooftune.graph.types import dim_of_text, ir_dim
from rooftune.quantities import Dim

__all__ = ["Repair"]

MAX_TEXT = 300
"""An expression longer than this helps nobody; a new name takes its place."""


class Repair:
    """One pass over a graph, in running order."""

    def __init__(
        self,
        opsets: Mapping[str, int],
        functions: Mapping[ir.OperatorIdentifier, ir.Function],
        declared: Mapping[str, onnx.TypeProto],
    ) -> None:
        self.functions, self.declared = functions, declared
        self.opsets = {("" if d == "ai.onnx" else d): v for d, v in opsets.items()}
        self.opsets.setdefault("", 1)
        self.values = SmallValues()
        self.names: set[str] = set()
        self.made: set[str] = set()
        self.serial = 0
        self._sound: dict[str, bool] = {}

    def run(self, graph: ir.Graph) -> None:
        """Complete the shapes of all values of a main graph in place."""
        for value in graph.inputs:
            self.allow(value)
        self.graph(graph)

    def graph(self, graph: Iterable[ir.Node]) -> None:
        """Complete the outputs of these nodes, which stand in running order."""
        for node in graph:
            self.serial += 1
            if node.op_type in CONTROL_FLOW and node.domain in ("", "ai.onnx"):
                CONTROL_FLOW[node.op_type](self, node)
            if node.op_type == "Split" and len(node.inputs) > 1 and self.values.of(node.inputs[1]) is None:
                self._distrust_split(node)
            if not all(self.settled(value) for value in node.outputs):
                self.complete(node)

    def allow(self, value: ir.Value) -> None:
        """The names in the shape of this value are names of open dimensions from here on."""
        for dim in value.shape or ():
            if isinstance(dim, ir.SymbolicDim) and dim.value is not None:
                expression = dim_of_text(dim.value)
                self.names |= {dim.value, *(s.name for s in getattr(expression, "free_symbols", ()))}
                self._sound.clear()

    # what is known of a value

    def settled(self, value: ir.Value) -> bool:
        """True where the type and every dimension are known; absent outputs are."""
        if not value.name:
            return True
        if value.type is None or value.shape is None:
            return isinstance(value.type, ir.SequenceType | ir.OptionalType) and value.shape is not None
        return all(isinstance(d, int) or self.sound(d) for d in value.shape.dims)

    def sound(self, dim: ir.SymbolicDim) -> bool:
        """True for expressions of names that came from the inputs or were made here."""
        text = dim.value
        if text is None:
            return False
        known = self._sound.get(text)
        if known is None:
            expression = dim_of_text(text)
            known = text in self.names or (
                bool(expression.free_symbols) and all(s.name in self.names for s in expression.free_symbols)
                if not isinstance(expression, int) else True
            )  # fmt: skip
            self._sound[text] = known
        return known

    def dims(self, value: ir.Value | None) -> Dims:
        """Dimensions of a value; None where its rank is not known."""
        if value is None or value.shape is None:
            return None
        return tuple(d if isinstance(d, int) else dim_of_text(d.value or "?") for d in value.shape.dims)

    def _distrust_split(self, node: ir.Node) -> None:
        """onnx's inference takes sizes that are not constant for equal ones; only the run knows them."""
        data = self.dims(node.inputs[0])
        axis = attribute(node, "axis", 0)
        if node.inputs[1] is None or not data or not -len(data) <= axis < len(data):
            return
        for output in node.outputs:
            output.shape = ir.Shape([None if i == axis % len(data) else _written(d) for i, d in enumerate(data)])

    # completing a node

    def complete(self, node: ir.Node) -> None:
        """Settle the outputs: by onnx's inference, by our rules, by what the file declares, by new names."""
        inferred = self._infer(node)
        for output, found in zip(node.outputs, inferred):
            self._merge(output, found)
        if not all(self.settled(v) for v in node.outputs):
            for output, dims in zip(node.outputs, self._by_rule(node)):
                self.give(output, dims)
        for place, output in enumerate(node.outputs):
            if not output.name:
                continue
            if output.name in self.declared:
                self._take_declared(output, self.declared[output.name])
            self._name_open(node, place, output)

    def _infer(self, node: ir.Node) -> list[onnx.TypeProto | None]:
        """onnx's own inference for one node, with the small values that are known."""
        nothing: list[onnx.TypeProto | None] = [None] * len(node.outputs)
        if node.op_type == "Split" and len(node.inputs) > 1 and self.values.of(node.inputs[1]) is None:
            return nothing
        if node.op_type in CONTROL_FLOW or _heavy(node):
            return nothing
        try:
            found = infer_node(node, self.opsets, self.values.of)
        except Exception:  # onnx's inference raises many types for nodes it does not like; the rules come next
            return nothing
        return [(found or {}).get(output.name or "") for output in node.outputs]

    def _by_rule(self, node: ir.Node) -> Sequence[Dims]:
        if node.domain in ("", "ai.onnx"):
            rule = RULES.get(node.op_type)
        else:
            rule = MICROSOFT.get(node.op_type) if node.domain.startswith("com.m") else None
        if rule is None:
            return self._by_function(node)
        try:
            shapes = [self.dims(v) for v in node.inputs]
            found = rule(node, shapes, [self.values.of(v) for v in node.inputs])
        except (ArithmeticError, AttributeError, IndexError, KeyError, TypeError, ValueError):
            found = None  # a malformed node
        if found is None:
            return self._by_function(node)
        if node.domain not in ("", "ai.onnx"):
            dtype = element_type(node)
            for output in node.outputs:
                if output.type is None and dtype is not None:
                    output.type = ir.TensorType(dtype)
        return found

    def _by_function(self, node: ir.Node) -> Sequence[Dims]:
        """Shapes from the body of a model-local function."""
        from rooftune.graph.functions import local_body

        body = local_body(node, self.functions, self)
        if body is None:
            return ()
        for mine, its in zip(node.outputs, body.outputs):
            mine.type = mine.type or its.type
        return [self.dims(its) for its in body.outputs]

    # writing what was found

    def give(self, value: ir.Value, dims: Dims) -> None:
        """Fill the open dimensions of a value; numbers that are already known stay."""
        if dims is None or not value.name:
            return
        if value.shape is None or len(value.shape) != len(dims):
            value.shape = ir.Shape([_written(d) for d in dims])
            return
        merged = [
            old if isinstance(old, int) or self.sound(old) else _written(new) for old, new in zip(value.shape, dims)
        ]
        value.shape = ir.Shape(merged)

    def _merge(self, value: ir.Value, found: onnx.TypeProto | None, *, named: bool = False) -> None:
        if found is None or not value.name:
            return
        try:
            kind = serde.deserialize_type_proto_for_type(found)
            shape = serde.deserialize_type_proto_for_shape(found)
        except (ValueError, TypeError):
            return
        if value.type is None and kind is not None:
            value.type = kind
        if shape is None:
            return
        if named:
            fresh = ir.Value(name="declared", shape=shape)
            self.allow(fresh)
        dims: list[Any] = [
            dim if isinstance(dim, int) else dim if self.sound(dim) else ir.SymbolicDim(None) for dim in shape
        ]
        if value.shape is None or len(value.shape) != len(dims):
            value.shape = ir.Shape(dims)
        else:
            value.shape = ir.Shape(
                [old if isinstance(old, int) or self.sound(old) else new for old, new in zip(value.shape, dims)]
            )

    def _take_declared(self, value: ir.Value, declared: onnx.TypeProto) -> None:
        """Believe the file where nothing better is known: no dimension, or one that only the run decides."""
        if not self.settled(value):
            self._merge(value, declared, named=True)
        dims = declared.tensor_type.shape.dim
        if value.shape is None or len(dims) != len(value.shape) or not self.made:
            return
        chosen = [
            said.dim_value
            if isinstance(dim, ir.SymbolicDim) and said.HasField("dim_value") and self._made_of(dim)
            else dim
            for dim, said in zip(value.shape, dims)
        ]
        value.shape = ir.Shape(chosen)

    def _made_of(self, dim: ir.SymbolicDim) -> bool:
        expression = dim_of_text(dim.value or "?")
        return any(s.name in self.made for s in getattr(expression, "free_symbols", ()))

    def _new_name(self, stem: str) -> str:
        while stem in self.names:
            stem += "_"
        self.names.add(stem)
        self.made.add(stem)
        self._sound.clear()
        return stem

    def _name_open(self, node: ir.Node, place: int, value: ir.Value) -> None:
        """Names for the dimensions that are still open."""
        if value.shape is None:
            return
        if all(isinstance(d, int) or (self.sound(d) and len(d.value or "") <= MAX_TEXT) for d in value.shape):
            return
        stem = f"{_identifier(node.op_type)}_{self.serial}" + (f"_o{place}" if place else "")
        dims: list[int | ir.SymbolicDim] = []
        for axis, dim in enumerate(value.shape):
            if isinstance(dim, int) or (self.sound(dim) and len(dim.value or "") <= MAX_TEXT):
                dims.append(dim)
                continue
            dims.append(ir.SymbolicDim(self._new_name(f"{stem}_d{axis}")))
        value.shape = ir.Shape(dims)

    def fresh(self, node: ir.Node, axis: int) -> Dim:
        """A new open dimension that the run decides."""
        return dim_of_text(self._new_name(f"{_identifier(node.op_type)}_{self.serial}_d{axis}"))


def _written(dim: Dim | None) -> int | ir.SymbolicDim:
    if dim is None:
        return ir.SymbolicDim(None)
    if isinstance(dim, int):
        return dim if dim >= 0 else ir.SymbolicDim(None)
    if getattr(dim, "is_negative", False) or not getattr(dim, "is_finite", True):
        return ir.SymbolicDim(None)
    return ir_dim(dim)


def _identifier(text: str) -> str:
    return re.sub(r"\W", "_", text) or "node"


def _heavy(node: ir.Node) -> bool:
    """True for nodes that carry weights or graphs: writing them out would cost by their size."""
    return any(
        isinstance(a.value, StoredTensor | ir.Graph) or getattr(a.value, "nbytes", 0) > 1 << 16
        for a in node.attributes.values()
        if not a.is_ref()
    )
