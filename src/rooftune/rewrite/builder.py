"""What a rule builds with: new nodes, constants, and weights that are worked out when they are written."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from rooftune.errors import ConstraintNotMet
from rooftune.graph.constants import constant_tensor
from rooftune.graph.repair import Repair
from rooftune.graph.types import value_type
from rooftune.ops import TensorType
from rooftune.rewrite.match import SMALL
from rooftune.rewrite.names import Names

__all__ = ["Builder", "NotFinite"]


class NotFinite(ConstraintNotMet):
    """Folded weights overflow their number format."""

    def __init__(self, cause: str) -> None:
        super().__init__(cause, "leave out the rule that folds them with --skip RULE")


class Builder:
    """Makes the nodes and constants that take the place of matched ones; they enter the graph when the rule is done.

    `new.Conv(x, w, strides=[2, 2])` makes a node and gives its first output, `node` gives all of them. `like=node`
    takes over the attributes of a node; attributes given as None are left out.
    """

    def __init__(self, root: ir.Node, names: Names, repair: Repair, opset: int) -> None:
        self.root, self.opset = root, opset
        self.nodes: list[ir.Node] = []
        self.constants: list[ir.Value] = []
        self.consumed: list[ir.Value] = []
        self._names, self._repair = names, repair

    def __getattr__(self, op: str) -> Callable[..., ir.Value]:
        if not op[:1].isupper():
            raise AttributeError(op)
        return lambda *inputs, **options: self.node(op, inputs, **options)[0]

    def node(
        self,
        op: str,
        inputs: Sequence[ir.Value | None],
        *,
        outputs: int = 1,
        like: ir.Node | None = None,
        domain: str = "",
        **attributes: Any,
    ) -> tuple[ir.Value, ...]:
        """A new node with its outputs' types inferred; absent inputs at the end are left out."""
        given = list(inputs)
        while given and given[-1] is None:
            given.pop()
        kept = {} if like is None else {a.name: a for a in like.attributes.values() if a.name not in attributes}
        added = [ir.convenience.convert_attribute(k, v) for k, v in attributes.items() if v is not None]
        made = [ir.Value(name=self._names.value(f"{self.root.name or op}_{op}")) for _ in range(outputs)]
        node = ir.Node(
            domain, op, given, [*kept.values(), *added], outputs=made, name=self._names.node(self.root.name or op)
        )
        self.nodes.append(node)
        return tuple(node.outputs)

    def infer_types(self) -> None:
        """Give the new values types and shapes where they have none yet."""
        for node in self.nodes:
            if not all(self._repair.settled(v) for v in node.outputs):
                self._repair.complete(node)

    def dims(self, value: ir.Value) -> tuple[Any, ...] | None:
        """The dimensions of a value, new or old; None where its rank is not known."""
        self.infer_types()
        kind = value_type(value)
        return kind.dims if isinstance(kind, TensorType) else None

    def constant(self, array: NDArray[Any], *, like: ir.Value | None = None, hint: str = "") -> ir.Value:
        """A constant with these elements; `like` gives the element type and the first half of the name."""
        dtype = like.dtype if like is not None and like.dtype is not None else None
        name = self._names.value(
            hint or (like.name if like is not None and like.name else f"{self.root.name}_constant")
        )
        tensor = ir.Tensor(_cast(np.asarray(array), dtype), dtype=dtype, name=name)
        return self._register(tensor, name)

    def integers(self, numbers: Sequence[int], *, hint: str = "") -> ir.Value:
        """A one-dimensional int64 constant: axes, shapes, starts."""
        return self.constant(np.asarray(list(numbers), np.int64), hint=hint)

    def derive(
        self,
        compute: Callable[..., NDArray[Any]],
        *sources: ir.Value,
        shape: Sequence[int] | None = None,
        exact: bool = False,
    ) -> ir.Value:
        """A constant worked out from others; large ones are worked out when the model is written or run.

        compute  gets the sources as arrays (in float64 unless `exact`) and gives the elements
        shape    of the result; default that of the first source
        """
        first = sources[0]
        tensors = [constant_tensor(s) for s in sources]
        dims = tuple(int(d) for d in (shape if shape is not None else tensors[0].shape.dims))
        dtype = first.dtype
        assert dtype is not None
        name = self._names.value(first.name or "weight")
        if math.prod(dims) > SMALL:
            self.consumed += [s for s, t in zip(sources, tensors, strict=True) if t.size > SMALL]

        def work_out() -> ir.TensorProtocol:
            arrays = [t.numpy() if exact else _wide(t.numpy()) for t in tensors]
            made = np.asarray(compute(*arrays))
            if made.shape != dims:
                raise ValueError(f"{name} was to have shape {dims} and has {made.shape}")
            return ir.Tensor(_cast(made, dtype), dtype=dtype, name=name)

        small = math.prod(dims) <= SMALL and all(t.size <= SMALL for t in tensors)
        tensor: ir.TensorProtocol = (
            work_out() if small else ir.LazyTensor(work_out, dtype=dtype, shape=ir.Shape(dims), name=name)
        )
        return self._register(tensor, name)

    def _register(self, tensor: ir.TensorProtocol, name: str) -> ir.Value:
        value = ir.Value(name=name, type=ir.TensorType(tensor.dtype), shape=tensor.shape, const_value=tensor)  # type: ignore[arg-type]
        self.constants.append(value)
        return value


def _wide(array: NDArray[Any]) -> NDArray[Any]:
    kind = array.dtype.kind
    return array if kind in "iub" else array.astype(np.complex128 if kind == "c" else np.float64)


def _cast(array: NDArray[Any], dtype: ir.DataType | None) -> NDArray[Any]:
    """The array in the element type; `NotFinite` where numbers overflow it."""
    if dtype is None or array.dtype == dtype.numpy():
        return array
    with np.errstate(over="ignore", invalid="ignore"):
        made = array.astype(dtype.numpy())
    if dtype.is_floating_point() and not _all_finite(made) and np.isfinite(array).all():
        raise NotFinite(f"a folded weight does not fit into {dtype.name.lower()}")
    return made


def _all_finite(array: NDArray[Any]) -> bool:
    """True where every element is finite; the sum, which is quicker to have, nearly always says so."""
    plain = array.astype(np.float32, copy=False)
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(plain.sum())) or bool(np.isfinite(plain).all())
