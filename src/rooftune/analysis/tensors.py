"""The tensors of a model as the analysis sees them: type, size, and whether they are known before the run."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import NamedTuple

import onnx_ir

from rooftune.graph.flat import FlatGraph, FlatNode
from rooftune.graph.identity import weight_key, weights_of
from rooftune.graph.model import Model
from rooftune.graph.types import value_type
from rooftune.ops import TensorType, ValueType
from rooftune.quantities import DType, Maybe

__all__ = ["FlatTensors", "Tensor", "TensorTable", "shared_storage"]

_NEVER_FOLDED = {"RandomNormal", "RandomUniform", "RandomNormalLike", "RandomUniformLike", "Bernoulli", "Multinomial"}
# weights stay quantised in memory and are dequantised by the kernel that reads them
_NEVER_FOLDED |= {"DequantizeLinear", "QuantizeLinear"}
# what they read inside their graphs is no input of theirs
_NEVER_FOLDED |= {"If", "Loop", "Scan", "SequenceMap"}


class Tensor(NamedTuple):
    """One value of the graph. `constant` ones are weights: initialisers or computed from them alone."""

    name: str
    type: ValueType
    constant: bool = False
    is_input: bool = False
    is_output: bool = False

    @property
    def bytes(self) -> Maybe:
        return self.type.bytes


class TensorTable:
    """Tensors by value, each worked out once."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._tensors: dict[int, Tensor] = {}
        self._folded: dict[int, bool] = {}
        self._keep: list[object] = []  # ids are only unique while their objects live

    def inside(self) -> TensorTable:
        """A table for nodes that exist only for the moment, such as an expanded function body."""
        return TensorTable(self.model)

    def tensor(self, value: onnx_ir.Value) -> Tensor:
        found = self._tensors.get(id(value))
        if found is None:
            found = Tensor(
                name=value.name or "",
                type=value_type(value) or TensorType(DType.FLOAT32, None, value.name or ""),
                constant=self._is_constant(value),
                is_input=value.is_graph_input() and not value.is_initializer(),
                is_output=value.is_graph_output(),
            )
            self._tensors[id(value)] = found
            self._keep.append(value)
        return found

    def _is_constant(self, value: onnx_ir.Value) -> bool:
        if value.is_initializer():
            return True
        producer = value.producer()
        return producer is not None and self.is_folded(producer)

    def is_folded(self, node: onnx_ir.Node) -> bool:
        """True for nodes every engine computes at load time: all their inputs are constants."""
        known = self._folded.get(id(node))
        if known is None:
            known = self._works_on_constants_only(node)
            self._folded[id(node)] = known
            self._keep.append(node)
        return known

    def _works_on_constants_only(self, node: onnx_ir.Node) -> bool:
        if node.op_type in _NEVER_FOLDED:
            return False
        return all(
            v is None or v.is_initializer() or (v.producer() is not None and self._folded_producer(v))
            for v in node.inputs
        )

    def _folded_producer(self, value: onnx_ir.Value) -> bool:
        producer = value.producer()
        return producer is not None and self._folded.get(id(producer), False)


class FlatTensors:
    """Tensors of a flat graph by name; ask in the order of the nodes."""

    def __init__(self, graph: FlatGraph) -> None:
        self.graph = graph
        self._tensors: dict[str, Tensor] = {}
        self._constants = set(graph.initialisers)

    def inputs(self, node: FlatNode) -> tuple[Tensor | None, ...]:
        return tuple([self._tensor(name) if name else None for name in node.inputs])

    def outputs(self, node: FlatNode) -> tuple[Tensor | None, ...]:
        """The outputs of a node; optional ones that nobody reads are not made."""
        read, asked = self.graph.read, self.graph.outputs
        first, *others = node.outputs
        return (self._tensor(first), *(self._tensor(n) if n in read or n in asked else None for n in others))

    def is_folded(self, node: FlatNode) -> bool:
        """True for nodes every engine computes at load time: all their inputs are constants."""
        if node.op_type in _NEVER_FOLDED or not all(not n or n in self._constants for n in node.inputs):
            return False
        self._constants.update(node.outputs)
        return True

    def _tensor(self, name: str) -> Tensor:
        found = self._tensors.get(name)
        if found is None:
            graph = self.graph
            found = Tensor(
                name, graph.types[name], name in self._constants, name in graph.inputs, name in graph.outputs
            )
            self._tensors[name] = found
        return found


def shared_storage(model: Model) -> dict[str, str]:
    """Weights that are one piece of memory under several names: each name → the first of them."""
    flat = model.flat
    weights: Iterable[tuple[str, Hashable]]
    if flat is not None:
        weights = flat.weights.items()
    else:
        weights = ((value.name or "", weight_key(value)) for value in weights_of(model.ir.graph))
    first: dict[Hashable, str] = {}
    return {name: first.setdefault(key, name) for name, key in weights}
