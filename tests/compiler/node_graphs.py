"""Small graphs with several inputs against ONNX Runtime, on every vector width, with one thread and two."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.program import build
from rooftune.execute.native_program import NativeProgram
from rooftune.graph.load import load_proto
from rooftune.verdicts import Refusal

from .running import TARGETS, Floats, guarded

Array = NDArray[Any]


def graph(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Sequence[int]],
    constants: Mapping[str, Array],
    outputs: Sequence[str] = ("y",),
    opset: int = 18,
) -> onnx.ModelProto:
    """A model of these nodes; sizes of results are left to inference."""
    made = helper.make_graph(
        list(nodes),
        "graph",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in inputs.items()],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(np.asarray(array), name) for name, array in constants.items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def agrees(proto: onnx.ModelProto, feed: Mapping[str, Floats], tolerance: float = 2e-6) -> list[str]:
    """The compiled model gives what ONNX Runtime gives, relative to the largest number; what its operations are."""
    work = lower(load_proto(proto))
    assert isinstance(work, Lowered), str(work)
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    names = [o.name for o in session.get_outputs()]
    expected = dict(zip(names, session.run(names, dict(feed)), strict=True))
    for place, target in enumerate(TARGETS.values()):
        for threads in (1, 2) if place == 0 else (1 + place % 2,):
            native = NativeProgram(build(work, replace(target, threads=threads)), _poisoned)
            try:
                native.run(dict(feed))
                found = native.run(dict(feed))
            finally:
                native.close()
            for name, wanted in expected.items():
                assert found[name].shape == wanted.shape
                largest = float(np.abs(wanted[np.isfinite(wanted)]).max(initial=1.0))
                np.testing.assert_allclose(found[name], wanted, rtol=0, atol=tolerance * largest, err_msg=target.isa)
    return [type(op).__name__ for op in work.operations]


def refused(proto: onnx.ModelProto) -> str:
    """Why a model is not compiled; "" where it is."""
    found = lower(load_proto(proto))
    return str(found) if isinstance(found, Refusal) else ""


def _poisoned(size: int) -> NDArray[np.uint8]:
    """Memory that holds no number before one is written."""
    found = guarded(size)
    found[:] = 0xFF
    return found
