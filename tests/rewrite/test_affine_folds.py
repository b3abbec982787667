"""Random arithmetic around convolutions, Gemms, MatMuls and normalisations: folded or not, the same answer."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rooftune.graph.load import load_proto
from rooftune.graph.model import Model
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import all_steps
from tests.rewrite.running import evaluate, random_feed, run_model, valid

RULES = (
    "fold_batchnorm_into_conv",
    "fold_scale_into_conv",
    "fold_shift_into_conv",
    "fold_affine_into_batchnorm",
    "fold_batchnorm_before_conv",
    "fold_scale_before_conv",
    "fold_shift_before_conv",
    "fold_batchnorm_into_gemm",
    "fold_scale_into_gemm",
    "fold_shift_into_gemm",
    "fold_scale_into_matmul",
    "fuse_matmul_add_into_gemm",
    "fold_transpose_into_gemm",
)


@dataclass
class Chain:
    """A graph under construction: a value of known shape, and what made it."""

    draw: st.DrawFn
    random: np.random.Generator
    shape: tuple[int, ...]
    value: str = "x"
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    weights: list[onnx.TensorProto] = field(default_factory=list)
    seen: list[str] = field(default_factory=list)

    def weight(self, shape: tuple[int, ...], *, positive: bool = False) -> str:
        name = f"w{len(self.weights)}"
        values = self.random.uniform(0.5, 1.5, shape) * (1 if positive else self.random.choice([-1, 1], shape))
        self.weights.append(numpy_helper.from_array(np.asarray(values, np.float32), name))
        return name

    def node(self, op: str, inputs: list[str], shape: tuple[int, ...], **attributes: object) -> None:
        self.seen.append(self.value)
        self.value, self.shape = f"v{len(self.nodes)}", shape
        self.nodes.append(helper.make_node(op, inputs, [self.value], **attributes))

    def step(self) -> None:
        """Arithmetic with a constant of a shape that may be one number per channel, or anything that broadcasts."""
        rank, axis = len(self.shape), self.draw(st.integers(0, len(self.shape)))
        shape = tuple(d if i == axis else 1 for i, d in enumerate(self.shape))
        shape = shape[self.draw(st.integers(0, rank)) :] if self.draw(st.booleans()) else shape
        if self.draw(st.integers(0, 9)) == 0 and 1 in self.shape:
            shape = tuple(3 if d == 1 else 1 for d in self.shape)
        if self.draw(st.booleans()) and rank > 1:
            shape = (self.shape[1], *[1] * (rank - 2))
        op = self.draw(st.sampled_from(["Add", "Sub", "Mul", "Div", "Neg", "BatchNormalization"]))
        if op == "Neg":
            self.node("Neg", [self.value], self.shape)
            return
        if op == "BatchNormalization":
            self.batchnorm()
            return
        operands = [self.value, self.weight(shape)]
        if op != "Div" and self.draw(st.booleans()):
            operands.reverse()
        self.node(op, operands, np.broadcast_shapes(self.shape, shape))

    def batchnorm(self) -> None:
        if len(self.shape) < 2:
            return
        channels = (self.shape[1],)
        parts = [self.weight(channels, positive=i == 3) for i in range(4)]
        self.node("BatchNormalization", [self.value, *parts], self.shape, epsilon=0.25)

    def conv(self) -> None:
        group = self.draw(st.sampled_from([1, 1, 2])) if self.shape[1] % 2 == 0 else 1
        outs, kernel = 2 * self.draw(st.integers(1, 2)), self.draw(st.sampled_from([1, 2, 3]))
        spatial = self.shape[2:]
        transposed = self.draw(st.booleans())
        inner = (self.shape[1], outs // group) if transposed else (outs, self.shape[1] // group)
        inputs = [self.value, self.weight((*inner, *[kernel] * len(spatial)))]
        if self.draw(st.booleans()):
            inputs.append(self.weight((outs,)))
        attributes: dict[str, object] = {"group": group}
        sizes = [d + kernel - 1 if transposed else d - kernel + 1 for d in spatial]
        pad = self.draw(st.sampled_from(["none", "valid", "same", "ones"]))
        if pad == "valid" and not transposed:
            attributes["auto_pad"] = "VALID"
        elif pad == "same" and not transposed:
            attributes["auto_pad"], sizes = "SAME_UPPER", list(spatial)
        elif pad == "ones" and not transposed:
            attributes["pads"], sizes = [1] * (2 * len(spatial)), [d + 2 for d in sizes]
        op = "ConvTranspose" if transposed else "Conv"
        self.node(op, inputs, (self.shape[0], outs, *sizes), **attributes)

    def gemm(self) -> None:
        rows, length = self.shape
        columns = self.draw(st.integers(1, 3))
        attributes: dict[str, object] = {}
        if self.draw(st.booleans()):
            self.node("Transpose", [self.value], (length, rows), perm=[1, 0])
            attributes["transA"] = 1
        turned = self.draw(st.booleans())
        attributes |= {"transB": 1} if turned else {}
        inputs = [self.value, self.weight((columns, length) if turned else (length, columns))]
        if self.draw(st.booleans()):
            inputs.append(self.weight(self.draw(st.sampled_from([(), (1,), (columns,), (1, columns), (rows, 1)]))))
        attributes |= {"alpha": 0.5, "beta": 2.0} if self.draw(st.booleans()) else {}
        self.node("Gemm", inputs, (rows, columns), **attributes)

    def matmul(self) -> None:
        length, columns = self.shape[-1], self.draw(st.integers(1, 3))
        if self.draw(st.booleans()) and len(self.shape) > 1:
            weight = self.weight((columns, self.shape[-2]))
            self.node("MatMul", [weight, self.value], (*self.shape[:-2], columns, length))
        else:
            self.node("MatMul", [self.value, self.weight((length, columns))], (*self.shape[:-1], columns))


@st.composite
def models(draw: st.DrawFn) -> Model:
    core = draw(st.sampled_from(["conv", "conv", "gemm", "matmul"]))
    channels = draw(st.integers(1, 4))
    shapes = {"conv": (1, channels, 6, 5), "gemm": (3, channels), "matmul": draw(st.sampled_from([(2, 3, 4), (3, 4)]))}
    shape = shapes[core] if core != "conv" or draw(st.booleans()) else (2, channels, 5)
    chain = Chain(draw, np.random.default_rng(draw(st.integers(0, 1000))), shape)
    for _ in range(draw(st.integers(0, 2))):
        chain.step()
    for _ in range(draw(st.integers(1, 2))):
        if core != "gemm" or len(chain.shape) == 2:
            getattr(chain, core)()
    for _ in range(draw(st.integers(0, 3))):
        chain.step()
    if not chain.nodes:
        chain.step()
    outputs = [chain.value]
    inner = [v for v in chain.seen if v != "x"]
    if inner and draw(st.integers(0, 4)) == 0:
        outputs.append(draw(st.sampled_from(inner)))
    graph = helper.make_graph(
        chain.nodes,
        "chain",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        chain.weights,
    )
    return load_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10))


def _error(expected: NDArray[np.float32], answer: NDArray[np.float32]) -> float:
    assert expected.shape == answer.shape and expected.dtype == answer.dtype
    scale = np.abs(expected).max(initial=0.0)
    return float(np.abs(expected - answer).max(initial=0.0) / max(scale, 1.0))


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(models())
def test_folded_chains_give_the_same_answer(model: Model) -> None:
    steps = [all_steps()[name] for name in RULES]
    found = rewrite(model, steps, evaluate=evaluate)
    assert not found.journal.notes
    with TemporaryDirectory() as folder:
        for expected, answer in run_model(model, found.model, random_feed(model, 0), Path(folder)).values():
            assert _error(expected, answer) < 1e-5
    valid(found.model)
