"""Models of one node against ONNX Runtime, and operations in memory that holds no number before it is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rooftune.compiler.lower import lower
from rooftune.compiler.operations import Operation
from rooftune.compiler.program import Program, build
from rooftune.compiler.target import Target, host_target
from rooftune.compiler.views import map_view
from rooftune.execute.native_program import NativeProgram
from rooftune.graph.load import load_proto
from rooftune.verdicts import Refusal

from .running import Floats, guarded, lowered, program

Array = NDArray[Any]


def numbers(*shape: int, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def run_one(
    op: Operation,
    x: Floats,
    shape: Sequence[int],
    target: Target,
    constants: dict[str, Floats] | None = None,
    threads: int = 1,
) -> Floats:
    """The result, of a shape, of one operation on the map `x`."""
    return run_each([op], x, shape, target, constants, threads)[0]


def run_each(
    operations: Sequence[Operation],
    x: Floats,
    shape: Sequence[int],
    target: Target,
    constants: dict[str, Floats] | None = None,
    threads: int = 1,
) -> list[Floats]:
    """The results, all of one shape, of operations on the map `x`; fillings and scratch are no numbers."""
    images, channels, height, width = shape
    names = [op.y for op in operations]
    shapes = {"x": x.shape, **dict.fromkeys(names, (images, channels, height, width))}
    work = lowered(list(operations), shapes, constants or {}, ["x"], names[0])
    work.outputs[:] = names
    for name in names:
        work.dims[name], work.found[name] = shapes[name], map_view(name, shapes[name])
    found = _twice(program(work, target, threads=threads), x)
    return [found[name] for name in names]


def _twice(made: Program, x: Floats) -> dict[str, Floats]:
    native = NativeProgram(made, _poisoned)
    try:
        first, again = native.run({"x": x}), native.run({"x": x})
    finally:
        native.close()
    for name, result in first.items():
        np.testing.assert_array_equal(result, again[name])
    return first


def _poisoned(size: int) -> NDArray[np.uint8]:
    found = guarded(size)
    found[:] = 0xFF
    return found


def single(
    kind: str,
    x: Floats,
    given: Sequence[Array | None] = (),
    opset: int = 21,
    out: Sequence[int] | None = None,
    **attributes: Any,
) -> onnx.ModelProto:
    """A model of one node: its first input is x, the others are constants, None where one is left out."""
    names = ["x", *(f"c{i}" if array is not None else "" for i, array in enumerate(given))]
    node = helper.make_node(kind, names, ["y"], name=kind, **attributes)
    graph = helper.make_graph(
        [node],
        "single",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, out)],
        [numpy_helper.from_array(array, f"c{i}") for i, array in enumerate(given) if array is not None],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def refusal(proto: onnx.ModelProto) -> str:
    """Why a model is not compiled; "" where it is."""
    found = lower(load_proto(proto))
    return str(found) if isinstance(found, Refusal) else ""


def agrees(proto: onnx.ModelProto, x: Floats, tolerance: float = 2e-6) -> None:
    """The compiled model gives what ONNX Runtime gives, relative to the largest number."""
    found, target = lower(load_proto(proto)), host_target(threads=2)
    assert not isinstance(found, Refusal), str(found)
    assert target is not None
    made = _twice(build(found, target), x)["y"]
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (expected,) = session.run(None, {"x": x})
    assert made.shape == expected.shape
    np.testing.assert_allclose(made, expected, rtol=0, atol=tolerance * max(1.0, float(np.abs(expected).max())))
