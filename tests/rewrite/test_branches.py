"""Parallel branches become one convolution: random combinations, and the blocks of the networks they come from."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import helper, numpy_helper

from rooftune.graph.load import load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.machine.devices import find_machine
from rooftune.rewrite.branches import Branch, Window, merge_branches
from rooftune.rewrite.engine import Rewritten, rewrite
from rooftune.rewrite.order import all_steps
from rooftune.rewrite.price import Target
from rooftune.rewrite.rules.merge_unlike_convs import MergeUnlikeConvs
from tests.rewrite.running import random_feed, run_model, valid

MERGING = (
    "replace_sum_by_add",
    "fold_batchnorm_into_conv",
    "merge_parallel_convs",
    "merge_identity_into_conv",
    "merge_scale_into_conv_sum",
    "merge_batchnorm_into_conv_sum",
    "merge_average_pool_into_conv_sum",
)


class MergeAtAnyPrice(MergeUnlikeConvs):
    """Merge all parallel convolutions."""

    must_pay = False


class Net:
    """A model being built: nodes, seeded weights, one input x and one z of the shape of the output."""

    def __init__(self, seed: int) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def weight(self, *shape: int, low: float | None = None) -> str:
        values = self.random.standard_normal(shape) if low is None else self.random.uniform(low, low + 1, shape)
        name = f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(values.astype(np.float32), name))
        return name

    def node(self, op: str, *inputs: str, **attributes: Any) -> str:
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=f"{op}{len(self.nodes)}", **attributes))
        return name

    def conv(self, x: str, shape: Sequence[int], *, bias: bool = False, **attributes: Any) -> str:
        scale = [self.weight(shape[0])] if bias else []
        return self.node("Conv", x, self.weight(*shape), *scale, **attributes)

    def norm(self, x: str, channels: int) -> str:
        parts = [self.weight(channels) for _ in range(3)]
        return self.node("BatchNormalization", x, *parts, self.weight(channels, low=0.5))

    def model(self, last: str, x: Sequence[int | str], y: Sequence[int | str], opset: int = 17) -> Model:
        end = helper.make_node("Relu", [last], ["y"], name="end")
        made = helper.make_graph(
            [*self.nodes, end],
            "net",
            [helper.make_tensor_value_info(n, 1, s) for n, s in (("x", x), ("z", y))],
            [helper.make_tensor_value_info("y", 1, y)],
            self.weights,
        )
        return load_proto(helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=8))


def merged(before: Model, *extra: Any) -> Rewritten:
    steps = all_steps()
    return rewrite(before, [*(steps[name] for name in MERGING), *extra])


def counted(model: Model) -> Counter[str]:
    return Counter(node.op_type for node in model.nodes)


def same_answers(before: Model, after: Model, folder: Path, tolerance: float = 1e-5) -> None:
    valid(after)
    for expected, answer in run_model(before, after, random_feed(before, 3), folder).values():
        assert expected.shape == answer.shape
        assert np.abs(expected - answer).max(initial=0.0) <= tolerance * max(np.abs(expected).max(initial=0.0), 1e-3)
        assert np.abs(expected).max(initial=0.0) > 0


@st.composite
def branch_sums(draw: st.DrawFn) -> tuple[Model, Counter[str], bool]:
    """A sum of branches of every kind over x, in random order and nesting; their kinds; whether sizes are known."""
    rank = draw(st.integers(1, 3))
    net = Net(draw(st.integers(0, 99)))
    keeps = draw(st.booleans())
    groups = [1, 2, 3, 6] if keeps else draw(st.sampled_from([[1], [1, 2], [2, 4]]))
    channels, outputs = (6, 6) if keeps else (4, 8)
    strides = [1] * rank if keeps else draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
    room = [0] * rank if keeps else draw(st.lists(st.integers(-3, 1), min_size=rank, max_size=rank))
    open_sizes = draw(st.booleans())
    size = draw(st.integers(5, 8))

    def window(largest: int) -> tuple[list[int], list[int], list[int]]:
        taps, steps, before, behind = [], [], [], []
        for axis in range(rank):
            step = draw(st.integers(1, 2))
            least = max(0, -room[axis])  # padding is never negative
            k = draw(st.integers(math.ceil(least / step) + 1, max(largest, math.ceil(least / step) + 1)))
            total = room[axis] + (k - 1) * step
            first = draw(st.integers(0, total))
            taps.append(k)
            steps.append(step)
            before.append(first)
            behind.append(total - first)
        return taps, steps, before + behind

    def conv() -> str:
        taps, steps, pads = window(3)
        group = draw(st.sampled_from(groups))
        bias = draw(st.booleans())
        shape = (outputs, channels // group, *taps)
        made = net.conv("x", shape, bias=bias, group=group, dilations=steps, pads=pads, strides=strides)
        return net.norm(made, outputs) if draw(st.booleans()) else made

    def pool() -> str:
        taps, _, pads = window(2)
        total = [room[a] + taps[a] - 1 for a in range(rank)]
        before = [min(p, t, taps[a] - 1) for a, (p, t) in enumerate(zip(pads[:rank], total, strict=True))]
        behind = [t - p for t, p in zip(total, before, strict=True)]
        if any(p >= k for p, k in zip(behind, taps, strict=True)):
            return "x"
        made = net.node(
            "AveragePool", "x", kernel_shape=taps, pads=before + behind, strides=strides, count_include_pad=1
        )
        return net.norm(made, channels) if draw(st.booleans()) else made

    kinds = ["conv", "conv", "other", *(["identity", "scale", "norm", "pool"] if keeps else [])]
    wanted = ["conv", *draw(st.lists(st.sampled_from(kinds), min_size=1, max_size=4))]
    values = []
    for kind in draw(st.permutations(wanted)):
        if kind == "conv":
            values.append(conv())
        elif kind == "pool":
            values.append(pool())
        elif kind == "norm":
            values.append(net.norm("x", channels))
        elif kind == "scale":
            shape = draw(st.sampled_from([(channels, *[1] * rank), (1, channels, *[1] * rank), (1,), ()]))
            values.append(net.node("Mul", *draw(st.permutations(["x", net.weight(*shape)]))))
        else:
            values.append("x" if kind == "identity" else net.node("Tanh", "z"))
    while len(values) > 1:
        count = draw(st.integers(2, len(values)))
        op = "Add" if count == 2 and draw(st.booleans()) else "Sum"
        place = draw(st.integers(0, len(values) - count))
        values[place : place + count] = [net.node(op, *values[place : place + count])]
    given_sizes = [size + axis for axis in range(rank)]
    made = [(n + r - 1) // s + 1 for n, r, s in zip(given_sizes, room, strides, strict=True)]
    x_shape: list[int | str] = [2, channels, *given_sizes]
    if open_sizes:
        x_shape[0] = "N"
    return net.model(values[0], x_shape, [x_shape[0], outputs, *made]), Counter(wanted), keeps


@settings(max_examples=120, deadline=None)
@given(branch_sums())
def test_random_branches_become_one_convolution(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[Model, Counter[str], bool]
) -> None:
    before, kinds, _ = drawn
    found = merged(before)
    same_answers(before, found.model, tmp_path_factory.mktemp("plain"))
    # with open sizes growing convolutions are left alone, so only these are merged at any price
    assert counted(found.model)["Conv"] <= counted(before)["Conv"]
    forced = merged(before, MergeAtAnyPrice())
    same_answers(before, forced.model, tmp_path_factory.mktemp("forced"))
    left = counted(forced.model)
    if not any("open" in r.reason for r in forced.journal.refused):
        assert left["Conv"] == 1
    if set(kinds) == {"conv"} and left["Conv"] == 1:
        assert set(left) == {"Conv", "Relu"}


def repvgg_block(net: Net, x: str, channels: int, outputs: int, stride: int, groups: int = 1) -> str:
    """A RepVGG block as it is trained: 3x3, 1x1 and, where the shape allows, the identity, each normalised."""
    step = {"strides": [stride, stride], "group": groups}
    dense = net.norm(
        net.conv(x, (outputs, channels // groups, 3, 3), pads=[1] * 4, kernel_shape=[3, 3], **step), outputs
    )
    point = net.norm(net.conv(x, (outputs, channels // groups, 1, 1), kernel_shape=[1, 1], **step), outputs)
    total = net.node("Add", dense, point)
    if channels == outputs and stride == 1:
        total = net.node("Add", total, net.norm(x, channels))
    return net.node("Relu", total)


def test_repvgg_stage_is_one_convolution_a_block(tmp_path: Path) -> None:
    net = Net(1)
    x = repvgg_block(net, "x", 3, 8, 2)
    for block in range(3):
        x = repvgg_block(net, x, 8, 8, 1, groups=1 + block % 2)
    before = net.model(repvgg_block(net, x, 8, 12, 2), ["N", 3, 17, 17], ["N", 12, 5, 5])
    found = merged(before)
    assert [n.op_type for n in found.model.nodes] == ["Conv", "Relu"] * 5 + ["Relu"]
    assert found.journal.refused == []
    same_answers(before, found.model, tmp_path)


def test_mobileone_block_is_one_convolution_a_layer(tmp_path: Path) -> None:
    """Four 3x3 branches, a scale branch and the identity, first depthwise, then pointwise; two blocks."""
    net, x = Net(2), "x"
    for stride in (1, 2):
        for group, taps in ((8, 3), (1, 1)):
            step = stride if group > 1 else 1
            shape = (8, 8 // group, taps, taps)
            geometry: dict[str, Any] = {"group": group, "strides": [step, step], "pads": [taps // 2] * 4}
            branches = []
            if group > 1:
                scale = net.conv(x, (8, 1, 1, 1), group=8, strides=[step, step])
                branches.append(net.norm(scale, 8))
            if step == 1:
                branches.append(net.norm(x, 8))
            branches += [net.norm(net.conv(x, shape, **geometry), 8) for _ in range(4)]
            total = branches[0]
            for branch in branches[1:]:
                total = net.node("Add", total, branch)
            x = net.node("Relu", total)
    before = net.model(x, [1, 8, 9, 9], [1, 8, 5, 5])
    found = merged(before)
    assert [n.op_type for n in found.model.nodes] == ["Conv", "Relu"] * 4 + ["Relu"]
    same_answers(before, found.model, tmp_path)


def test_acnet_and_scaled_identity(tmp_path: Path) -> None:
    """Square, row and column kernels (ACNet), and a scaled identity beside scaled kernels (RepOptimizer)."""
    net = Net(4)
    square = net.norm(net.conv("x", (6, 6, 3, 3), pads=[1, 1, 1, 1]), 6)
    row = net.norm(net.conv("x", (6, 6, 1, 3), pads=[0, 1, 0, 1]), 6)
    column = net.norm(net.conv("x", (6, 6, 3, 1), pads=[1, 0, 1, 0]), 6)
    y = net.node("Relu", net.node("Add", net.node("Add", row, column), square))
    dense, point = net.conv(y, (6, 6, 3, 3), pads=[1] * 4), net.conv(y, (6, 6, 1, 1), bias=True)
    scaled = net.node("Mul", net.weight(6, 1, 1), y)
    before = net.model(net.node("Sum", scaled, dense, point), [2, 6, 7, 9], [2, 6, 7, 9])
    found = merged(before)
    assert [n.op_type for n in found.model.nodes] == ["Conv", "Relu", "Conv", "Relu"]
    same_answers(before, found.model, tmp_path)


@pytest.mark.parametrize(
    "body",
    [
        # a residual block: the shortcut is not the input of the last convolution
        "{ a = Conv<pads=[1,1]>(x, w) r = Relu(a) c = Conv<pads=[1,1]>(r, w) y = Add(c, x) }",
        # outputs of different size, the smaller one stretched by the addition
        "{ a = Conv<pads=[0,0], strides=[1]>(x, long) c = Conv<pads=[1,1]>(x, w) y = Add(a, c) }",
        # a convolution with one channel, stretched over the channels of x
        "{ a = Conv<pads=[1,1]>(x, one) y = Add(a, x) }",
        # a factor per position, not per channel
        "{ a = Conv<pads=[1,1]>(x, w) s = Mul(x, place) y = Add(a, s) }",
        # a branch that is only added after a nonlinearity
        "{ a = Conv<pads=[1,1]>(x, w) b = Conv(x, point) r = Relu(a) y = Add(r, b) }",
        # a maximum is no convolution
        "{ a = Conv<pads=[1,1]>(x, w) p = MaxPool<kernel_shape=[3], pads=[1,1]>(x) y = Add(a, p) }",
        # sums that others read stay what they are
        "{ a = Conv<pads=[1,1]>(x, w) s = Add(a, t) b = Conv(x, point) q = Exp(s) u = Add(s, b) y = Add(u, q) }",
    ],
)
def test_what_only_looks_like_branches_is_left_alone(body: str) -> None:
    weights = "float[4,4,3] w, float[4,4,8] long, float[1,4,3] one, float[8] place, float[4,4,1] point"
    before = model_of_text(f"(float[1,4,8] x, float[1,4,8] t) => (float[1,4,8] y) <{weights}> {body}")
    found = merged(before, all_steps()["merge_unlike_convs"], all_steps()["merge_concatenated_convs"])
    assert found.journal.applied == []
    assert graph_lines(found.model) == graph_lines(before)


@pytest.mark.parametrize(
    "body",
    [
        # an even kernel, padded by one element before (lower) or behind (upper), beside an odd one
        '{ a = Conv<auto_pad="SAME_LOWER">(x, even) b = Conv<pads=[1,1]>(x, odd) y = Add(a, b) }',
        '{ a = Conv<auto_pad="SAME_UPPER">(x, even) b = Conv<pads=[1,1]>(x, odd) y = Add(a, b) }',
        # steps of three: padding that depends on the size, and windows of unequal room
        """{ a = Conv<auto_pad="SAME_UPPER", strides=[3]>(x, odd) b = Conv<auto_pad="VALID", strides=[3]>(x, even)
             s = Add(a, b) p = Conv<pads=[1,0], strides=[3]>(x, odd) y = Add(s, p) }""",
        "{ a = Conv<pads=[1,1], strides=[3]>(x, odd) b = Conv<strides=[3]>(x, even) y = Add(a, b) }",
        # taps that fit between those of a dilated kernel
        "{ a = Conv<pads=[4,4], dilations=[4]>(x, odd) b = Conv<pads=[1,3], dilations=[2]>(x, odd) y = Add(a, b) }",
        "{ a = Conv<pads=[3,3], dilations=[3]>(x, odd) b = Conv<dilations=[7]>(x, point) y = Add(a, b) }",
    ],
)
def test_windows_that_pair_up_in_odd_ways(body: str, tmp_path: Path) -> None:
    size = 3 if "strides" in body else 8
    weights = "float[4,4,2] even, float[4,4,3] odd, float[4,4,1] point"
    before = model_of_text(f"(float[2,4,8] x) => (float[2,4,{size}] y) <{weights}> {body}")
    found = merged(before, MergeAtAnyPrice())
    assert counted(found.model) == {"Conv": 1}
    same_answers(before, found.model, tmp_path)


def test_shifts_of_both_branches_are_added() -> None:
    one = Branch((Window(),), 2, 2, 1, (), lambda: np.ones((2, 1, 1)), 2, (), np.array([1.0, 2.0]))
    both = merge_branches(one, one, [None])
    assert both is not None and both.shift is not None
    assert both.shift.tolist() == [2.0, 4.0]
    assert both.kernel().tolist() == [[[2.0]], [[2.0]]]


def test_row_and_column_merge_where_the_machine_says_so() -> None:
    """On small maps the second pass costs more than the larger kernel, on large ones the arithmetic does."""
    target = Target(find_machine("amd-epyc-9654"), 16, "onnxruntime")
    for size, convs in ((8, 1), (112, 2)):
        before = model_of_text(
            f"""(float[1,64,{size},{size}] x) => (float[1,64,{size},{size}] y) <float[64,64,1,3] u, float[64,64,3,1] v>
            {{ p = Conv<pads=[0,1,0,1]>(x, u) q = Conv<pads=[1,0,1,0]>(x, v) y = Add(p, q) }}"""
        )
        found = rewrite(before, [all_steps()["merge_unlike_convs"]], target=target)
        assert counted(found.model)["Conv"] == convs


def test_runs_of_concatenated_convolutions(tmp_path: Path) -> None:
    """Runs of alike convolutions, interrupted by another kernel, another input and a grouped one."""
    net = Net(7)
    one = [net.conv("x", (c, 4, 3), pads=[1, 1], bias=c == 3) for c in (2, 3, 4)]
    two = [net.conv("x", (c, 4, 1)) for c in (1, 2)]
    rest = [net.conv("z", (2, 18, 1)), net.conv("x", (2, 2, 1), group=2), net.conv("x", (2, 2, 1), group=2)]
    before = net.model(net.node("Concat", *one, *two, *rest[1:], rest[0], axis=1), ["N", 4, 6], ["N", 18, 6])
    found = rewrite(before, [all_steps()["merge_concatenated_convs"]])
    assert counted(found.model) == {"Conv": 5, "Concat": 1, "Relu": 1}
    same_answers(before, found.model, tmp_path)


def test_inside_a_loop_only_its_own_convolutions_are_merged(tmp_path: Path) -> None:
    """A convolution outside a branch runs once; the one inside, of the same input, stays apart from it."""
    text = """(float[1,4,8] x, bool b) => (float[1,4,8] y) <float[4,4,3] w, float[4,4,1] v, float[4,4,1] u>
    { a = Conv<pads=[1,1]>(x, w)
      y = If<then_branch = yes () => (float[1,4,8] p) { c = Conv(x, v) d = Conv(x, u) e = Add(c, d) p = Add(e, a) },
             else_branch = no () => (float[1,4,8] q) { q = Add(x, a) }>(b) }"""
    before = model_of_text(text)
    found = merged(before)
    (branch,) = [n for n in found.model.nodes if n.op_type == "If"]
    assert [n.op_type for n in branch.attributes["then_branch"].as_graph()] == ["Conv", "Add"]
    assert [n.op_type for n in branch.attributes["else_branch"].as_graph()] == ["Add"]
    assert counted(found.model) == {"Conv": 1, "If": 1}
    same_answers(before, found.model, tmp_path)


def test_weights_that_callers_may_replace_are_refused() -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]>
        g (float[1,1,8] x, float[1,1,1] w = {2.0}) => (float[1,1,8] y) { c = Conv(x, w) y = Add(c, x) }"""
    )
    found = merged(load_proto(proto))
    assert found.journal.applied == []
    assert "may be given by the caller" in found.journal.refused[0].reason


def test_large_weights_are_read_only_when_written(tmp_path: Path) -> None:
    net = Net(5)
    wide = net.conv("x", (96, 96, 3, 3), pads=[1] * 4)
    point = net.conv("x", (96, 96, 1, 1), bias=True)
    before = net.model(net.node("Add", wide, net.node("Add", "x", point)), [1, 96, 6, 6], [1, 96, 6, 6])
    reads: list[str] = []

    def watched(kept: ir.TensorProtocol) -> ir.LazyTensor:
        def read() -> ir.TensorProtocol:
            reads.append(kept.name or "")
            return kept

        return ir.LazyTensor(read, dtype=kept.dtype, shape=ir.Shape(kept.shape), name=kept.name)

    for value in before.graph.initializers.values():
        if value.const_value is not None and value.const_value.size > 1 << 16:
            value.const_value = watched(value.const_value)
    found = merged(before)
    assert counted(found.model) == {"Conv": 1, "Relu": 1}
    assert reads == []
    same_answers(before, found.model, tmp_path)
    assert reads


@pytest.mark.parametrize("count", [2500])
def test_long_sums_take_no_longer_than_they_are(count: int, tmp_path: Path) -> None:
    net, total = Net(6), "z"
    for _ in range(count):
        total = net.node("Add", total, "z")
    a, b = net.conv("x", (2, 2, 3), pads=[1, 1]), net.conv("x", (2, 2, 1))
    total = net.node("Add", net.node("Add", a, total), b)
    before = net.model(total, [1, 2, 5], [1, 2, 5])
    found = merged(before)
    assert counted(found.model)["Conv"] == 1
    assert len(found.journal.applied) == 1
    same_answers(before, found.model, tmp_path)


@given(
    st.integers(1, 3),
    st.integers(1, 3),
    st.lists(st.tuples(st.integers(0, 4), st.integers(1, 3), st.integers(1, 3)), min_size=2, max_size=2),
    st.integers(-6, 3),
)
def test_joined_windows_hold_the_taps_of_both(
    stride: int, size: int, axes: list[tuple[int, int, int]], room: int
) -> None:
    one, other = (Window(stride, -first, step, taps, room) for first, step, taps in axes)
    joined = one.joined(other, None)
    assert joined is not None and joined.outputs(size) == one.outputs(size) == other.outputs(size)
    places = [joined.first + t * joined.step for t in range(joined.taps)]
    for window in (one, other):
        assert places[window.inside(joined)] == [window.first + t * window.step for t in range(window.taps)]
