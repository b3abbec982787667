"""Transposes moved through random graphs: the same answers, never more Transposes, and none where all can cancel."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx_ir as ir
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import all_steps
from tests.rewrite.running import evaluate, random_feed, run_model, valid

LAYOUT = ("push_transpose_down", "merge_transposes", "remove_noop_transpose", "eliminate_common_subexpressions")


def steps(*names: str) -> list[object]:
    return [all_steps()[name] for name in names]


def same_answers(before: Model, after: Model, tolerance: float) -> None:
    with TemporaryDirectory() as folder:
        for name, (expected, answer) in run_model(before, after, random_feed(before, 5), Path(folder)).items():
            assert expected.shape == answer.shape and expected.dtype == answer.dtype
            a, b = expected.astype(np.float64), answer.astype(np.float64)
            assert np.abs(a - b).max(initial=0) <= tolerance * max(1e-30, np.abs(a).max(initial=0)), name


def transposes(model: Model) -> int:
    return sum(n.op_type == "Transpose" for n in model.nodes)


class Writer:
    """Random graphs as text: every step takes values that are there and makes another."""

    def __init__(self, draw: st.DrawFn) -> None:
        self.draw = draw
        self.lines: list[str] = []
        self.weights: list[str] = []
        self.values: list[tuple[str, tuple[int, ...]]] = [("x", (2, 3, 4, 5)), ("z", (2, 3, 4, 5))]

    def pick(self) -> tuple[str, tuple[int, ...]]:
        recent = self.values[-4:]
        return recent[self.draw(st.integers(0, len(recent) - 1))]

    def make(self, expression: str, shape: tuple[int, ...]) -> None:
        name = f"v{len(self.values)}"
        self.lines.append(f"{name} = {expression}")
        self.values.append((name, shape))

    def weight(self, shape: tuple[int, ...]) -> str:
        name = f"w{len(self.weights)}"
        self.weights.append(f"float[{','.join(map(str, shape))}] {name}" if shape else f"float {name}")
        return name

    def integers(self, numbers: list[int]) -> str:
        name = f"i{len(self.weights)}"
        self.weights.append(f"int64[{len(numbers)}] {name} = {{{','.join(map(str, numbers))}}}")
        return name

    def step(self) -> None:
        kind = self.draw(
            st.sampled_from("transpose transpose transpose unary constant binary axis reduce view".split())
        )
        getattr(self, kind)(*self.pick())

    def transpose(self, name: str, shape: tuple[int, ...]) -> None:
        if not shape:
            return self.unary(name, shape)
        perm = self.draw(
            st.sampled_from([(0, 2, 3, 1), (0, 3, 1, 2)]) if len(shape) == 4 else st.permutations(range(len(shape)))
        )
        self.make(f"Transpose<perm={list(perm)}>({name})", tuple(shape[p] for p in perm))
        return None

    def unary(self, name: str, shape: tuple[int, ...]) -> None:
        op = self.draw(st.sampled_from(["Relu", "Neg", "Sigmoid", "LeakyRelu<alpha=0.5>"]))
        self.make(f"{op}({name})", shape)

    def constant(self, name: str, shape: tuple[int, ...]) -> None:
        rank = self.draw(st.integers(0, len(shape)))
        dims = tuple(d if self.draw(st.booleans()) else 1 for d in shape[len(shape) - rank :])
        pair = [name, self.weight(dims)]
        op = self.draw(st.sampled_from(["Add", "Mul", "Sub", "PRelu"]))
        if op != "PRelu" and self.draw(st.booleans()):
            pair.reverse()
        self.make(f"{op}({', '.join(pair)})", shape)

    def binary(self, name: str, shape: tuple[int, ...]) -> None:
        fitting = [n for n, s in self.values if s == shape]
        other = self.draw(st.sampled_from(fitting))
        if shape and self.draw(st.booleans()):
            axis = self.draw(st.integers(-len(shape), len(shape) - 1))
            joined = list(shape)
            joined[axis] *= 2
            self.make(f"Concat<axis={axis}>({name}, {other})", tuple(joined))
        else:
            self.make(f"{self.draw(st.sampled_from(['Add', 'Mul', 'Max']))}({name}, {other})", shape)

    def axis(self, name: str, shape: tuple[int, ...]) -> None:
        if not shape:
            return self.unary(name, shape)
        axis = self.draw(st.integers(-len(shape), len(shape) - 1))
        op = self.draw(st.sampled_from(["Softmax", "Slice", "Pad", "Split"]))
        dims = list(shape)
        if op == "Softmax":
            self.make(f"Softmax<axis={axis}>({name})", shape)
        elif op == "Slice":
            dims[axis] = max(1, shape[axis] - 1)
            first, last = self.integers([shape[axis] - dims[axis]]), self.integers([99])
            self.make(f"Slice({name}, {first}, {last}, {self.integers([axis])})", tuple(dims))
        elif op == "Pad":
            pads = [0] * 2 * len(shape)
            pads[axis % len(shape)], dims[axis] = 1, shape[axis] + 1
            self.make(f"Pad({name}, {self.integers(pads)})", tuple(dims))
        elif shape[axis] > 1:
            sizes = self.integers([1, shape[axis] - 1])
            spare = f"s{len(self.values)}"
            dims[axis] = shape[axis] - 1
            self.lines.append(f"{spare}, v{len(self.values)} = Split<axis={axis}>({name}, {sizes})")
            self.values.append((f"v{len(self.values)}", tuple(dims)))
        return None

    def reduce(self, name: str, shape: tuple[int, ...]) -> None:
        count = self.draw(st.integers(0, len(shape)))
        axes = self.draw(st.permutations(range(len(shape))))[:count] if shape else []
        if not axes:
            return self.unary(name, shape)
        keep = self.draw(st.integers(0, 1))
        op = self.draw(st.sampled_from(["ReduceMean", "ReduceMax"]))
        dims = [1 if i in axes else d for i, d in enumerate(shape) if keep or i not in axes]
        self.make(f"{op}<keepdims={keep}>({name}, {self.integers(list(axes))})", tuple(dims))
        return None

    def view(self, name: str, shape: tuple[int, ...]) -> None:
        if 1 in shape:
            axis = shape.index(1)
            self.make(f"Squeeze({name}, {self.integers([axis])})", shape[:axis] + shape[axis + 1 :])
        elif len(shape) < 4:
            axis = self.draw(st.integers(0, len(shape)))
            self.make(f"Unsqueeze({name}, {self.integers([axis])})", (*shape[:axis], 1, *shape[axis:]))
        else:
            self.unary(name, shape)


@st.composite
def graphs(draw: st.DrawFn) -> str:
    writer = Writer(draw)
    for _ in range(draw(st.integers(3, 14))):
        writer.step()
    used = " ".join(line.split("=", 1)[1] for line in writer.lines)
    ends = [(n, s) for n, s in writer.values[2:] if f"{n})" not in used and f"{n}," not in used]
    extra = draw(st.sampled_from(writer.values[2:])) if writer.values[2:] else None
    outputs = dict([*ends, *([extra] if extra else [])])
    shown = ", ".join(f"float[{','.join(map(str, s))}] {n}" if s else f"float {n}" for n, s in outputs.items())
    weights = f"<{', '.join(writer.weights)}>" if writer.weights else ""
    body = "\n".join(writer.lines)
    return f"(float[2,3,4,5] x, float[2,3,4,5] z) => ({shown}) {weights} {{ {body} }}"


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(graphs())
def test_random_graphs_keep_their_answers(text: str) -> None:
    before = model_of_text(text)
    found = rewrite(before, steps(*LAYOUT), evaluate=evaluate)
    assert not found.journal.notes
    assert transposes(found.model) <= transposes(before)
    valid(found.model)
    same_answers(before, found.model, 1e-5)


def test_a_model_in_the_other_layout_keeps_no_transpose(tmp_path: Path) -> None:
    """What converters make of Keras: every convolution between Transposes, all else with channels last."""
    to, back = "Transpose<perm=[0,2,3,1]>", "Transpose<perm=[0,3,1,2]>"
    text = f"""(float[N,3,8,8] x) => (float[N,5] y)
    <float[4,3,3,3] w1, float[4] b1, float[4,4,3,3] w2, float[1,1,4] slope, float[5,4] w4, int64[2] image = {{1,2}},
     float[4,8,1,1] w3, float lowest = {{0.0}}, float highest = {{6.0}}>
    {{
      h = {to}(x)
      a0 = {back}(h) a1 = Conv<pads=[1,1,1,1]>(a0, w1) a2 = {to}(a1) a3 = Add(a2, b1) a4 = Relu(a3)
      c0 = {back}(a4) c1 = Conv<pads=[1,1,1,1]>(c0, w2) c2 = {to}(c1) c3 = PRelu(c2, slope)
      d = Add(a4, c3)
      e = Concat<axis=3>(d, a4)
      f0 = {back}(e) f1 = Conv(f0, w3) f2 = {to}(f1) f3 = Clip(f2, lowest, highest)
      g = ReduceMean<keepdims=0>(f3, image)
      y = Gemm<transB=1>(g, w4)
    }}"""
    before = model_of_text(text)
    found = rewrite(before, steps(*LAYOUT), evaluate=evaluate)
    assert transposes(found.model) == 0, graph_lines(found.model)
    valid(found.model)
    same_answers(before, found.model, 1e-5)


def test_layouts_that_alternate_from_node_to_node_settle() -> None:
    """Every Transpose could go with its left or its right neighbour; only one of them may take it."""
    turn = "Transpose<perm=[0,2,1]>"
    parts = [f"b{i} = {turn}(a{i}) c{i} = Relu(b{i}) d{i} = {turn}(c{i}) a{i + 1} = Sigmoid(d{i})" for i in range(20)]
    text = f"(float[2,3,4] x) => (float[2,3,4] y) {{ a0 = Neg(x) {' '.join(parts)} y = Neg(a20) }}"
    before = model_of_text(text)
    found = rewrite(before, steps(*LAYOUT), evaluate=evaluate)
    assert transposes(found.model) == 0
    assert len(found.journal.applied) == 20 and not found.journal.notes
    same_answers(before, found.model, 0.0)


def test_a_squeeze_and_excite_block_keeps_no_transpose() -> None:
    to, back = "Transpose<perm=[0,2,3,1]>", "Transpose<perm=[0,3,1,2]>"
    text = f"""(float[1,4,8,8] x) => (float[1,4,8,8] y)
    <float[4,4,3,3] w1, float[4,4,1,1] w2, int64[2] image = {{1,2}}>
    {{
      a1 = Conv<pads=[1,1,1,1]>(x, w1) a2 = {to}(a1)
      s0 = Sigmoid(a2) s = Mul(a2, s0)
      m = ReduceMean<keepdims=1>(s, image)
      e0 = {back}(m) e1 = Conv(e0, w2) e2 = {to}(e1) e3 = HardSigmoid(e2)
      p = Mul(s, e3)
      y = {back}(p)
    }}"""
    before = model_of_text(text)
    found = rewrite(before, steps(*LAYOUT), evaluate=evaluate)
    assert transposes(found.model) == 0, graph_lines(found.model)
    same_answers(before, found.model, 1e-5)


def test_nothing_moves_where_nothing_is_won() -> None:
    text = """(float[2,3,4] x) => (float[2,4,5] y) <float[3,5] w>
    { a = Transpose<perm=[0,2,1]>(x) b = Relu(a) c = Neg(b) y = MatMul(c, w) }"""
    before = model_of_text(text)
    found = rewrite(before, steps(*LAYOUT), evaluate=evaluate)
    assert graph_lines(found.model) == graph_lines(before)


def test_values_keep_their_name_only_with_their_content() -> None:
    """A value that other readers still want is there under its name; one that changed has another."""
    text = """(float[2,3,4] x) => (float[2,3,4] y, float[2,4,3] b)
    { a = Transpose<perm=[0,2,1]>(x) r = Relu(a) b = Neg(r) s = Sigmoid(r) y = Transpose<perm=[0,2,1]>(s) }"""
    before = model_of_text(text)
    found = rewrite(before, steps(*LAYOUT), evaluate=evaluate)
    same_answers(before, found.model, 0.0)
    shapes = {v.name: [*v.shape] for n in found.model.nodes for v in n.outputs if v.name in ("r", "s") and v.shape}
    assert all(shape == [2, 4, 3] for shape in shapes.values()), shapes


def test_a_region_inside_a_branch() -> None:
    """Subgraphs are graphs of their own; what they read from outside stays as it is."""
    text = """(float[2,3,4] x, bool c) => (float[2,3,4] y)
    {
      t = Transpose<perm=[0,2,1]>(x)
      y = If (c) <
        then_branch = then () => (float[2,3,4] p)
          { k = Relu(t) p = Transpose<perm=[0,2,1]>(k) },
        else_branch = else () => (float[2,3,4] q)
          { m = Transpose<perm=[0,2,1]>(x) n = Neg(m) q = Transpose<perm=[0,2,1]>(n) }
      >
    }"""
    before = model_of_text(text)
    found = rewrite(before, steps(*LAYOUT), evaluate=evaluate)
    valid(found.model)
    branch = next(n for n in found.model.nodes if n.op_type == "If").attributes["else_branch"].as_graph()
    assert [n.op_type for n in branch] == ["Neg"]
    same_answers(before, found.model, 0.0)
    assert isinstance(branch, ir.Graph)
