"""Bytes of every operator against the real tensors of its tests in the ONNX backend suite.

Each single-node test of the suite carries real inputs and outputs. A formula must say of every tensor that it
moves exactly its bytes (4-bit and 2-bit types packed), or at most that where it declares to touch only a part.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import onnx
import pytest
from onnx.backend.test.loader import load_model_tests

from rooftune.ops import Operator, OptionalType, SequenceType, TensorType, ValueType, Work, find, known_operators
from rooftune.quantities import DType, Unknown

UNKNOWN_WORK = {
    "ImageDecoder": "decoding depends on the compressed stream",
    "NonMaxSuppression": "how many boxes are compared depends on the boxes",
    "RegexFullMatch": "matching depends on the strings",
    "StringNormalizer": "takes as long as the strings",
    "StringSplit": "takes as long as the strings",
}
"""Operators whose work nobody can state from shapes; any other unknown work is a defect of the formula."""


def load_cases() -> list[Any]:
    with warnings.catch_warnings():
        # the suite builds its overflow cases on purpose
        warnings.simplefilter("ignore")
        tests = load_model_tests(kind="node")
    found = []
    for test in tests:
        nodes = test.model.graph.node
        if len(nodes) == 1 and find(nodes[0].domain, nodes[0].op_type) is not None:
            found += [pytest.param(test.model, *data, id=test.name) for data in test.data_sets]
    return found


CASES = load_cases()


def element_type(number: int) -> DType:
    name = onnx.TensorProto.DataType.Name(number)
    return DType.parse({"FLOAT": "float32", "DOUBLE": "float64"}.get(name, name.lower()))


def as_array(value: Any) -> np.ndarray[Any, Any]:
    return onnx.numpy_helper.to_array(value) if isinstance(value, onnx.TensorProto) else np.asarray(value)


def real_bytes(value: Any, dtype: DType) -> int:
    """Bytes of the arrays themselves, not of what a type says about them."""
    if value is None:
        return 0
    if isinstance(value, list):
        return sum(real_bytes(v, dtype) for v in value)
    array = as_array(value)
    # numpy gives every 4-bit and 2-bit number a byte of its own; in memory they are packed
    return (array.size * dtype.bits + 7) // 8 if dtype.bits in (2, 4) else array.nbytes


def leaf_type(proto: onnx.TypeProto) -> DType:
    kind = proto.WhichOneof("value")
    if kind == "tensor_type":
        return element_type(proto.tensor_type.elem_type)
    return leaf_type(getattr(proto, kind).elem_type)


def value_type(proto: onnx.TypeProto, value: Any, name: str) -> ValueType:
    """The type a graph analysis would have, with the shapes of the real arrays."""
    if proto.HasField("optional_type"):
        return OptionalType(value_type(proto.optional_type.elem_type, value, name))
    if proto.HasField("sequence_type"):
        dtype, shapes = leaf_type(proto), {as_array(v).shape for v in value or []}
        # tensors of different shapes have no shape in common
        element = TensorType(dtype, shapes.pop() if len(shapes) == 1 else None)
        return SequenceType(element, len(value), name)
    dtype = leaf_type(proto)
    if value is None:
        return TensorType(dtype, None, name)
    array = as_array(value)
    if dtype is not DType.STRING and dtype.bits >= 8:
        assert array.dtype.itemsize * 8 == dtype.bits, "the suite's array and its declared type disagree"
    return TensorType(dtype, tuple(array.shape), name)


def may_be_unknown(kind: ValueType | None) -> bool:
    """Strings have no size; sequences of different shapes, and absent optionals, have no type that tells it."""
    if isinstance(kind, SequenceType | OptionalType):
        return may_be_unknown(kind.element)
    return kind is not None and (kind.dtype is DType.STRING or kind.dims is None)


@pytest.mark.parametrize(("model", "given", "made"), CASES)
def test_bytes_equal_the_real_tensors(model: onnx.ModelProto, given: list[Any], made: list[Any]) -> None:
    node, graph = model.graph.node[0], model.graph
    op = find(node.domain, node.op_type)
    assert op is not None
    declared = [*zip(graph.input, given, strict=True), *zip(graph.output, made, strict=True)]
    values = {i.name: (value_type(i.type, v, i.name), real_bytes(v, leaf_type(i.type))) for i, v in declared}
    inputs = [values[name] if name else (None, 0) for name in node.input]
    outputs = [values[name] if name else (None, 0) for name in node.output]
    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    attributes = {k: v.decode() if isinstance(v, bytes) else v for k, v in attributes.items()}

    work = op.work(attributes, [kind for kind, _ in inputs], [kind for kind, _ in outputs])

    if node.op_type in UNKNOWN_WORK:
        assert isinstance(work, Unknown), "the work is known now: take the operator off the list"
        return
    assert isinstance(work, Work), work
    assert work.reads is not None and work.writes is not None
    compare(work.reads, inputs, [_parameter(op, i) for i in range(len(inputs))], op.reads_part)
    names = op.outputs if op.outputs != ("outs",) else ("outs",) * len(outputs)
    compare(work.writes, outputs, names, op.writes_part)


def _parameter(op: Operator, index: int) -> str:
    return op.inputs[index] if index < len(op.inputs) else "*"


def compare(
    counted: tuple[Any, ...], values: list[tuple[ValueType | None, int]], names: Any, touched_in_part: tuple[str, ...]
) -> None:
    # a formula may name bytes of optionals that the node has not got, but they must be none
    assert not any(counted[len(values) :])
    assert len(counted) >= len(values), "a tensor was left out"
    for (kind, real), bytes_counted, name in zip(values, counted, names):
        if isinstance(bytes_counted, Unknown):
            assert may_be_unknown(kind), (name, bytes_counted)
        elif name in touched_in_part:
            assert 0 <= bytes_counted <= real, name
        elif not (isinstance(kind, TensorType) and kind.dtype is DType.STRING):
            assert bytes_counted == real, name


def test_the_suite_reaches_most_formulas() -> None:
    reached = {case.values[0].graph.node[0].op_type for case in CASES}
    assert len(reached) > 100


@pytest.mark.parametrize("declared", ["reads_part", "writes_part"])
def test_parts_name_parameters(declared: str) -> None:
    """A misspelt name in `reads_part` would silently loosen the comparison to nothing, or tighten it for ever."""
    for op in known_operators():
        parameters = op.inputs if declared == "reads_part" else op.outputs
        assert set(getattr(op, declared)) <= set(parameters), op.name
