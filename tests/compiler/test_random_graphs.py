"""Random graphs of shapes, parts, sums and products: what is lowered gives what ONNX Runtime gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from rooftune.compiler.lower import lower
from rooftune.compiler.program import build
from rooftune.compiler.target import host_target
from rooftune.execute.native_program import NativeProgram
from rooftune.graph.load import load_proto
from rooftune.verdicts import Refusal

from .running import TARGETS

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")
_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]


STEPS = (
    "reshape transpose slice gather concat add constant matmul weights function gate expand several where slopes shares"
).split()


class Drawn:
    """A graph that grows: every step reads tensors that are there and makes another."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.nodes: list[onnx.NodeProto] = []
        self.weights: dict[str, np.ndarray] = {}
        self.sizes: dict[str, tuple[int, ...]] = {}

    def draw(self, options: Sequence[object]) -> object:
        return self.data.draw(st.sampled_from(list(options)))

    def weight(self, array: np.ndarray) -> str:
        name = f"w{len(self.weights)}"
        self.weights[name] = array
        return name

    def floats(self, *sizes: int) -> str:
        random = np.random.default_rng(len(self.weights))
        return self.weight(random.standard_normal(sizes).astype(np.float32))

    def node(self, kind: str, inputs: list[str], sizes: Sequence[int], **attributes: object) -> None:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, inputs, [name], name=f"{kind} {name}", **attributes))
        self.sizes[name] = tuple(sizes)

    def step(self) -> None:
        x = str(self.draw(list(self.sizes)[-3:]))
        dims = self.sizes[x]
        kind = self.draw(STEPS)
        if kind == "reshape":
            sizes = self.divided(math.prod(dims))
            self.node("Reshape", [x, self.weight(np.int64(sizes))], sizes)
        elif kind == "transpose":
            order = self.data.draw(st.permutations(range(len(dims))))
            self.node("Transpose", [x], [dims[o] for o in order], perm=list(order))
        elif kind == "slice" and dims:
            axis = self.data.draw(st.integers(0, len(dims) - 1))
            first = self.data.draw(st.integers(0, dims[axis] - 1))
            step = self.data.draw(st.integers(1, 2))
            last = self.data.draw(st.integers(first + 1, dims[axis]))
            given = [self.weight(np.int64([n])) for n in (first, last, axis, step)]
            cut = len(range(first, last, step))
            self.node("Slice", [x, *given], [*dims[:axis], cut, *dims[axis + 1 :]])
        elif kind == "gather" and len(dims) > 1:
            axis = self.data.draw(st.integers(0, len(dims) - 1))
            index = self.weight(np.int64(self.data.draw(st.integers(-dims[axis], dims[axis] - 1))))
            self.node("Gather", [x, index], [*dims[:axis], *dims[axis + 1 :]], axis=axis)
        elif kind == "concat" and dims:
            axis = self.data.draw(st.integers(0, len(dims) - 1))
            alike = [
                n for n, s in self.sizes.items() if [*s[:axis], *s[axis + 1 :]] == [*dims[:axis], *dims[axis + 1 :]]
            ]
            alike = [n for n in alike if len(self.sizes[n]) == len(dims)]
            both = [x, str(self.draw(alike))]
            total = sum(self.sizes[n][axis] for n in both)
            if total * math.prod(dims) < 5000:
                self.node("Concat", both, [*dims[:axis], total, *dims[axis + 1 :]], axis=axis)
        elif kind == "add":
            alike = [n for n, s in self.sizes.items() if s == dims]
            self.node(str(self.draw(["Add", "Mul", "Sub", "Max", "Min"])), [x, str(self.draw(alike))], dims)
        elif kind == "constant":
            sizes = [s if self.data.draw(st.booleans()) else 1 for s in dims]
            sizes = sizes[self.data.draw(st.integers(0, len(sizes))) :]
            both = [x, self.floats(*sizes)]
            kind = str(self.draw(["Add", "Mul", "Sub", "Max"]))
            self.node(kind, both if self.data.draw(st.booleans()) else both[::-1], dims)
        elif kind == "several":
            wide = [n for n, s in self.sizes.items() if self.together(s, dims) is not None]
            values = [x, *(str(self.draw(wide)) for _ in range(self.data.draw(st.integers(0, 2))))]
            whole: tuple[int, ...] | None = dims
            for name in values:
                whole = None if whole is None else self.together(self.sizes[name], whole)
            if whole is not None and math.prod(whole) < 5000:
                self.node(str(self.draw(["Sum", "Mean", "Max", "Min"])), values, whole)
        elif kind == "where" and dims:
            sizes = [s if self.data.draw(st.booleans()) else 1 for s in dims]
            sizes = sizes[self.data.draw(st.integers(0, len(sizes))) :]
            condition = self.weight(np.random.default_rng(len(self.weights)).random(sizes) < 0.5)
            alike = [n for n, s in self.sizes.items() if s == dims]
            both = [x, str(self.draw([*alike, self.floats(1)]))]
            self.node("Where", [condition, *(both if self.data.draw(st.booleans()) else both[::-1])], dims)
        elif kind == "slopes" and dims:
            sizes = [s if self.data.draw(st.booleans()) else 1 for s in dims]
            self.node("PRelu", [x, self.floats(*sizes)], dims)
        elif kind == "shares" and dims:
            axis = self.data.draw(st.integers(0, len(dims) - 1))
            self.node(str(self.draw(["Softmax", "LogSoftmax"])), [x], dims, axis=axis)
        elif kind == "function":
            self.node(str(self.draw(["Relu", "Sigmoid", "Tanh", "Neg"])), [x], dims)
        elif kind == "gate":
            self.node("Sigmoid", [x], dims)
            self.node("Mul", [x, list(self.sizes)[-1]], dims)
        elif kind == "expand" and 1 in dims and math.prod(dims) < 500:
            sizes = [3 if d == 1 else d for d in dims]
            self.node("Expand", [x, self.weight(np.int64(sizes))], sizes)
        elif kind == "matmul" and len(dims) > 1:
            other = [
                n for n, s in self.sizes.items() if len(s) == len(dims) and (*s[:-2], s[-2]) == (*dims[:-2], dims[-1])
            ]
            if other:
                y = str(self.draw(other))
                self.node("MatMul", [x, y], [*dims[:-1], self.sizes[y][-1]])
        elif kind == "weights" and len(dims) > 1:
            out = self.data.draw(st.integers(1, 20))
            self.node("MatMul", [x, self.floats(dims[-1], out)], [*dims[:-1], out])

    @staticmethod
    def together(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...] | None:
        """What two sizes are spread to; None where they do not go together."""
        try:
            return np.broadcast_shapes(one, other)
        except ValueError:
            return None

    def divided(self, count: int) -> list[int]:
        sizes = []
        while count > 1 and len(sizes) < 4:
            size = int(str(self.draw([d for d in range(2, count + 1) if count % d == 0])))
            sizes.append(size)
            count //= size
        return [*sizes, count] if count > 1 or not sizes else sizes


def _any_graph(data: st.DataObject) -> bool:
    """Compare; False where something has no kernel."""
    drawn = Drawn(data)
    ranks = {1: (6,), 2: (2, 24), 3: (1, 9, 32), 4: (2, 20, 3, 4), 5: (2, 1, 3, 4, 16)}
    drawn.sizes["x"] = ranks[data.draw(st.integers(1, 5))]
    for _ in range(data.draw(st.integers(1, 8))):
        drawn.step()
    if not drawn.nodes:
        return True
    ends = list(drawn.sizes)[-2:] if data.draw(st.booleans()) else list(drawn.sizes)[-1:]
    infos = {n: helper.make_tensor_value_info(n, TensorProto.FLOAT, drawn.sizes[n]) for n in ("x", *ends)}
    outputs = [infos[n] for n in ends if n != "x"]
    given = [numpy_helper.from_array(np.asarray(array), name) for name, array in drawn.weights.items()]
    graph = helper.make_graph(drawn.nodes, "random", [infos["x"]], outputs, given)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    found = lower(load_proto(proto))
    if isinstance(found, Refusal):
        return False
    target = host_target(data.draw(st.sampled_from(list(TARGETS))))
    assert target is not None
    feed = {"x": np.random.default_rng(5).standard_normal(drawn.sizes["x"]).astype(np.float32)}
    native = NativeProgram(build(found, replace(target, threads=data.draw(st.integers(1, 2)))))
    got = native.run(feed)
    native.close()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    for output, expected in zip(session.get_outputs(), session.run(None, feed), strict=True):
        scale = max(1.0, float(np.abs(expected).max()))
        np.testing.assert_allclose(got[output.name], expected, rtol=0, atol=2e-5 * scale)
    return True


@given(st.data())
@settings(max_examples=80, deadline=None, suppress_health_check=_QUIET)
def test_random_graphs(data: st.DataObject) -> None:
    _any_graph(data)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@given(st.data())
@settings(max_examples=3000, deadline=None, suppress_health_check=_QUIET)
def test_three_thousand_random_graphs(data: st.DataObject) -> None:
    _any_graph(data)
