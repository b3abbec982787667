"""Slices that become Splits, and views that move before them: the same answers to the bit, never more nodes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from rooftune.graph.load import load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.order import Step, all_steps, default_steps
from tests.rewrite.running import evaluate, random_feed, run_model, valid
from tests.rewrite.test_structure import Shape, Writer

SPLITS = ("merge_slices_into_split", "move_view_before_split")
AROUND = (
    "merge_duplicate_initialisers eliminate_common_subexpressions remove_dead_nodes push_transpose_down "
    "remove_noop_reshape remove_noop_transpose merge_squeeze_unsqueeze merge_reshapes merge_transposes "
    "merge_views_around_transpose turn_transpose_into_reshape remove_split_concat_pair"
).split()
MOST = 9223372036854775807


def steps(*names: str) -> list[Step]:
    """The steps of these names, in the order in which they speak."""
    return [step for name, step in all_steps().items() if name in names]


def same_bits(before: Model, after: Model) -> None:
    with TemporaryDirectory() as folder:
        for name, (expected, answer) in run_model(before, after, random_feed(before, 7), Path(folder)).items():
            assert expected.shape == answer.shape and expected.dtype == answer.dtype, name
            np.testing.assert_array_equal(answer, expected, err_msg=name)


def lines_after(text: str, *names: str, opset: int = 20) -> list[str]:
    """The nodes that remain, after a look at the answers."""
    before = model_of_text(text, opset=opset)
    found = rewrite(before, steps(*(names or SPLITS)), evaluate=evaluate)
    valid(found.model)
    same_bits(before, found.model)
    return graph_lines(found.model)


class Cutter(Writer):
    """Values cut into parts by a Split or by Slices, the parts seen in other shapes, turned, and joined again."""

    def step(self) -> None:
        kind = self.draw(st.sampled_from("cut cut cut reshape unsqueeze transpose unary".split()))
        name, shape = self.values[-1] if self.draw(st.integers(0, 2)) else self.draw(st.sampled_from(self.values))
        getattr(self, kind)(name, shape)

    def cut(self, name: str, shape: Shape) -> None:
        axes = [axis for axis, size in enumerate(shape) if size > 1]
        if not axes:
            return
        axis = self.draw(st.sampled_from(axes))
        unit = self.draw(st.sampled_from([u for u in (1, 1, 2, 3) if shape[axis] % u == 0 and shape[axis] > u]))
        count = shape[axis] // unit
        seams = sorted(self.draw(st.sets(st.integers(1, count - 1), min_size=1, max_size=3)))
        ends = [unit * seam for seam in (*seams, count)]
        parts = (self.slices if self.draw(st.booleans()) else self.split_at)(name, shape, axis, ends)
        for change in self.draw(st.lists(st.sampled_from("look look turn look".split()), max_size=3)):
            parts = getattr(self, change)(parts, axis, unit)
        if self.draw(st.booleans()) and len({s[:axis] + s[axis + 1 :] for _, s in parts}) == 1:
            if any(len(s) <= axis for _, s in parts):
                return
            dims = list(parts[0][1])
            dims[axis] = sum(s[axis] for _, s in parts)
            self.make(f"Concat<axis={axis}>({', '.join(n for n, _ in parts)})", tuple(dims))

    def part(self, expression: str, shape: Shape) -> tuple[str, Shape]:
        self.make(expression, shape)
        return self.values[-1]

    def split_at(self, name: str, shape: Shape, axis: int, ends: list[int]) -> list[tuple[str, Shape]]:
        sizes = [end - start for start, end in zip([0, *ends], ends)]
        first, kept = len(self.values), self.draw(st.sampled_from([axis, axis - len(shape)]))
        attributes = f"axis={kept}" if self.opset >= 11 else f"axis={axis}"
        attributes += f", split={sizes}" if self.opset < 13 else ""
        given = f", {self.integers(sizes)}" if self.opset >= 13 else ""
        names = [f"v{first + i}" for i in range(len(sizes))]
        self.lines.append(f"{', '.join(names)} = Split<{attributes}>({name}{given})")
        self.values += [(n, (*shape[:axis], size, *shape[axis + 1 :])) for n, size in zip(names, sizes, strict=True)]
        return self.values[first:]

    def slices(self, name: str, shape: Shape, axis: int, ends: list[int]) -> list[tuple[str, Shape]]:
        """In any order, at times with one missing or one too many, with bounds written in any way."""
        whole = shape[axis]
        ranges = list(zip([0, *ends], ends))
        if not self.draw(st.integers(0, 5)):
            ranges.pop(self.draw(st.integers(0, len(ranges) - 1)))
        if not self.draw(st.integers(0, 3)):
            start = self.draw(st.integers(0, whole - 1))
            ranges.append((start, self.draw(st.integers(start + 1, whole))))
        parts = []
        for start, end in self.draw(st.permutations(ranges)):
            first = self.draw(st.sampled_from([start, start - whole] if start else [0, -whole, -whole - 7]))
            last = self.draw(
                st.sampled_from([end, end - whole] if end < whole else [end, end + 3, (1 << 31) - 1, MOST])
            )
            parts.append(
                self.part(
                    self.one_slice(name, shape, axis, first, last), (*shape[:axis], end - start, *shape[axis + 1 :])
                )
            )
        return sorted(parts, key=lambda part: int(part[0][1:]))

    def one_slice(self, name: str, shape: Shape, axis: int, first: int, last: int) -> str:
        starts, ends, axes = [first], [last], [axis]
        other = self.draw(st.integers(0, len(shape) - 1))
        if other != axis and not self.draw(st.integers(0, 3)):
            starts, ends, axes = [0, first], [MOST, last], [other, axis]
        if self.opset < 10:
            return f"Slice<axes={axes}, ends={ends}, starts={starts}>({name})"
        if self.draw(st.booleans()):
            axes = [a - len(shape) for a in axes]
        lists = [starts, ends, axes, [1] * len(axes)][: self.draw(st.sampled_from([3, 4]))]
        return f"Slice({', '.join([name, *map(self.integers, lists)])})"

    def look(self, parts: list[tuple[str, Shape]], axis: int, unit: int) -> list[tuple[str, Shape]]:
        """A view of every part: its axis taken apart, an axis more, all flat, or one that fits only some."""
        kind = self.draw(st.sampled_from("apart apart apart more flat last".split()))
        made = []
        for name, shape in parts:
            if kind == "apart" and axis < len(shape) and shape[axis] % unit == 0:
                wanted = (*shape[:axis], shape[axis] // unit, unit, *shape[axis + 1 :])
                target = [0 if self.draw(st.booleans()) and i < axis else d for i, d in enumerate(wanted)]
                if self.draw(st.booleans()):
                    target[self.draw(st.sampled_from([0, axis]))] = -1
                made.append(self.part(f"Reshape({name}, {self.integers(target)})", wanted))
            elif kind == "more" and len(shape) < 6:
                place = min(axis, len(shape))
                wanted = (*shape[:place], 1, *shape[place:])
                made.append(self.part(self.axes("Unsqueeze", name, [place]), wanted))
            elif kind == "flat":
                self.flatten(name, shape)
                made.append(self.values[-1])
            else:
                self.reshape(name, shape)
                made.append(self.values[-1])
        return made

    def turn(self, parts: list[tuple[str, Shape]], axis: int, unit: int) -> list[tuple[str, Shape]]:
        rank = len(parts[0][1])
        if any(len(shape) != rank for _, shape in parts):
            return parts
        perm = self.draw(st.permutations(range(rank)))
        return [self.part(f"Transpose<perm={perm}>({n})", tuple(s[p] for p in perm)) for n, s in parts]


@st.composite
def cuts(draw: st.DrawFn) -> tuple[str, int]:
    opset = draw(st.sampled_from([9, 11, 13, 20]))
    first = draw(st.sampled_from(["N", "2"]))
    writer = Cutter(draw, opset)
    writer.values = [("x", (2, 3, 4)), ("z", (2, 5, 12))]
    writer.unary("x", (2, 3, 4))
    writer.unary("z", (2, 5, 12))
    for _ in range(draw(st.integers(1, 5))):
        writer.step()
    made = writer.values[4:] or writer.values[3:]
    chosen = draw(st.lists(st.sampled_from(made), min_size=1, max_size=4, unique_by=lambda value: value[0]))
    writer.unary(*writer.values[-1])
    outputs = {writer.values[-1][0]: writer.values[-1][1], **dict(chosen)}
    types = [f"float[{','.join(f'{n}d{i}' for i in range(len(s)))}] {n}" for n, s in outputs.items()]
    weights = f"<{', '.join(writer.weights)}>" if writer.weights else ""
    body = "\n".join(writer.lines)
    return f"(float[{first},3,4] x, float[{first},5,12] z) => ({', '.join(types)}) {weights} {{ {body} }}", opset


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(cuts(), st.sampled_from([SPLITS, SPLITS[:1], SPLITS[1:], (*SPLITS, *AROUND)]))
def test_random_cuts_keep_their_answers(drawn: tuple[str, int], names: tuple[str, ...]) -> None:
    text, opset = drawn
    before = model_of_text(text, opset=opset)
    found = rewrite(before, steps(*names), evaluate=evaluate)
    assert not found.journal.notes
    assert found.model.graph.num_nodes() <= before.graph.num_nodes()
    assert list(found.model.outputs) == list(before.outputs)
    valid(found.model)
    same_bits(before, found.model)
    again = rewrite(found.model, steps(*names), evaluate=evaluate)
    assert not {a.rule for a in again.journal.applied} & set(SPLITS)


@pytest.mark.parametrize(
    ("first", "last"),
    [("0", "2"), ("-6", "-4"), ("-99", "2"), ("0", "-4")],
)
@pytest.mark.parametrize("end", ["6", "7", "2147483647", "9223372036854775807"])
@pytest.mark.parametrize("kind", ["int64", "int32"])
def test_bounds_are_clamped(first: str, last: str, end: str, kind: str) -> None:
    if kind == "int32" and end == str(MOST):
        end = "2147483647"
    text = f"""(float[2,6] x) => (float[2,2] y, float[2,4] z)
    <{kind}[1] a = {{{first}}}, {kind}[1] b = {{{last}}}, {kind}[1] c = {{{end}}}, {kind}[1] axis = {{1}}>
    {{ y = Slice(x, a, b, axis) z = Slice(x, b, c, axis) }}"""
    assert lines_after(text) == ["y, z = Split<axis=1>(x, #)"]


def test_a_value_cut_twice_gets_two_splits() -> None:
    """Into three parts and into two, along one axis, and once along the other."""
    text = """(float[2,6] x) => (float[2,2] a, float[2,2] b, float[2,2] c, float[2,3] d, float[2,3] e, float[1,6] f,
     float[1,6] g)
    <int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] three = {3}, int64[1] four = {4},
     int64[1] end = {9}>
    { f = Slice(x, zero, one, zero) a = Slice(x, zero, two, one) b = Slice(x, two, four, one)
      d = Slice(x, zero, three, one) c = Slice(x, four, end, one) e = Slice(x, three, end, one)
      g = Slice(x, one, end, zero) }"""
    assert sorted(lines_after(text)) == [
        "a, b, c = Split<axis=1>(x, #)",
        "d, e = Split<axis=1>(x, #)",
        "f, g = Split<axis=0>(x, #)",
    ]


def test_slices_of_slices() -> None:
    text = """(float[2,8] x) => (float[2,2] y, float[2,4] z)
    <int64[1] zero = {0}, int64[1] two = {2}, int64[1] four = {4}, int64[1] end = {9}, int64[1] axis = {1}>
    { a = Slice(x, zero, four, axis) z = Slice(x, four, end, axis)
      b = Slice(a, zero, two, axis) c = Slice(a, two, end, axis) y = Sub(b, c) }"""
    assert lines_after(text) == ["a, z = Split<axis=1>(x, #)", "b, c = Split<axis=1>(a, #)", "y = Sub(b, c)"]


def test_twins_of_a_part_are_left_to_common_subexpressions() -> None:
    text = """(float[4] x) => (float[2] y, float[2] z)
    <int64[1] zero = {0}, int64[1] two = {2}, int64[1] end = {4}, int64[1] behind = {-2}>
    { a = Slice(x, zero, two) b = Slice(x, two, end) c = Slice(x, behind, end) y = Sub(a, b) z = Neg(c) }"""
    assert lines_after(text) == ["a, b = Split<axis=0>(x, #)", "c = Slice(x, #, #)", "y = Sub(a, b)", "z = Neg(c)"]


def test_sizes_are_left_to_those_who_fold_them() -> None:
    text = """(float[N,M] x, float[K] w) => (float[A,B] y)
    <int64[1] zero = {0}, int64[1] one = {1}, int64[1] two = {2}, int64[1] rest = {-1}>
    { s = Shape(x) n = Slice(s, zero, one) m = Slice(s, one, two) t = Concat<axis=0>(m, n) y = Reshape(x, t) }"""
    assert not any("Split" in line for line in lines_after(text))


def test_slices_between_quantised_values_run_on_integers_and_are_parted_there() -> None:
    text = """(uint8[2,4] x) => (uint8[2,2] y, uint8[4] z)
    <float s = {0.1}, uint8 o = {7}, int64[1] zero = {0}, int64[1] two = {2}, int64[1] end = {4}, int64[1] axis = {1},
     int64[1] flat = {4}>
    { d = DequantizeLinear(x, s, o) a = Slice(d, zero, two, axis) b = Slice(d, two, end, axis) r = Reshape(b, flat)
      y = QuantizeLinear(a, s, o) z = QuantizeLinear(r, s, o) }"""
    before = model_of_text(text)
    found = rewrite(before, default_steps(), evaluate=evaluate)
    assert graph_lines(found.model) == ["y, v1 = Split<axis=1>(x, #)", "z = Reshape(v1, #)"]
    same_bits(before, found.model)


def test_a_sliced_attention_is_one_reshape_and_one_split() -> None:
    """As TorchScript writes it: three Slices, three Reshapes, three Transposes, the one for the keys its own."""
    text = """(float[1,7,24] x) => (float[1,2,7,4] y)
    <int64[1] a = {0}, int64[1] b = {8}, int64[1] c = {16}, int64[1] end = {24}, int64[1] axis = {-1},
     int64[4] heads = {1,7,2,4}>
    { q = Slice(x, a, b, axis) k = Slice(x, b, c, axis) v = Slice(x, c, end, axis)
      q2 = Reshape(q, heads) k2 = Reshape(k, heads) v2 = Reshape(v, heads)
      q3 = Transpose<perm=[0,2,1,3]>(q2) k3 = Transpose<perm=[0,2,3,1]>(k2) v3 = Transpose<perm=[0,2,1,3]>(v2)
      m = MatMul(q3, k3) p = Softmax(m) y = MatMul(p, v3) }"""
    before = model_of_text(text)
    found = rewrite(before, default_steps(), evaluate=evaluate)
    assert graph_lines(found.model) == [
        "v1 = Reshape(x, #)",
        "q2, k2, v2 = Split<axis=2>(v1, #)",
        "q3 = Transpose<perm=[0,2,1,3]>(q2)",
        "k3 = Transpose<perm=[0,2,3,1]>(k2)",
        "v3 = Transpose<perm=[0,2,1,3]>(v2)",
        "m = MatMul(q3, k3)",
        "p = Softmax(m)",
        "y = MatMul(p, v3)",
    ]
    same_bits(before, found.model)


@pytest.mark.parametrize(
    ("rank", "body", "left"),
    [
        pytest.param(
            4,
            """a, b = Split<axis=2>(x, s) c = Reshape(a, heads) d = Reshape(b, heads) e = Transpose<perm=[1,0,2]>(c)
            f = Transpose<perm=[1,2,0]>(d) y = Unsqueeze(e, axis) z = Unsqueeze(f, axis)""",
            [
                "v1 = Reshape(x, #)",
                "v2, v3 = Split<axis=2>(v1, #)",
                "y = Transpose<perm=[0,2,1,3]>(v2)",
                "z = Transpose<perm=[0,2,3,1]>(v3)",
            ],
            id="views behind Transposes merge with those before them",
        ),
        pytest.param(
            1,
            """a, b = Split<axis=2>(x, s) c = Reshape(a, heads) d = Reshape(b, heads) e = Reshape(c, flat)
            f = Reshape(d, flat) y = Sub(e, f)""",
            ["a, b = Split<axis=2>(x, #)", "e = Reshape(a, #)", "f = Reshape(b, #)", "y = Sub(e, f)"],
            id="two views in a row become one that cannot move",
        ),
        pytest.param(
            4,
            """m = Relu(x) n = Neg(x) o = Concat<axis=2>(m, n) a, b = Split<axis=2>(o, whole) c = Reshape(a, image)
            d = Reshape(b, image) y = Sub(c, d)""",
            ["m = Relu(x)", "n = Neg(x)", "c = Reshape(m, #)", "d = Reshape(n, #)", "y = Sub(c, d)"],
            id="the Split goes with the Concat before it",
        ),
    ],
)
def test_other_rules_come_first(rank: int, body: str, left: list[str]) -> None:
    text = f"""(float[2,7,8] x) => (float[{",".join("ABCD"[:rank])}] y{", float[E,F,G,H] z" * (" z =" in body)})
    <int64[2] s = {{4,4}}, int64[2] whole = {{8,8}}, int64[3] heads = {{14,2,2}}, int64[4] image = {{2,7,4,2}},
     int64[1] axis = {{0}}, int64[1] flat = {{56}}> {{ {body} }}"""
    assert lines_after(text, *SPLITS, *AROUND) == left


def test_channel_shuffles_stay_whole() -> None:
    text = """(float[1,8,3,3] x) => (float[1,4,3,3] y)
    <int64[2] s = {4,4}, int64[5] apart = {1,2,2,3,3}, int64[4] back = {1,4,3,3}>
    { a, b = Split<axis=1>(x, s) c = Reshape(a, apart) d = Reshape(b, apart)
      e = Transpose<perm=[0,2,1,3,4]>(c) f = Transpose<perm=[0,2,1,3,4]>(d) g = Reshape(e, back) h = Reshape(f, back)
      y = Sub(g, h) }"""
    assert len(lines_after(text)) == 8


def test_squeezed_parts() -> None:
    text = """(float[N,1,M,6] x) => (float[N,M,2] y, float[N,M,4] z) <int64[2] s = {2,4}, int64[1] axis = {1}>
    { a, b = Split<axis=3>(x, s) y = Squeeze(a, axis) z = Squeeze(b, axis) }"""
    assert lines_after(text) == ["v1 = Squeeze(x, #)", "y, z = Split<axis=2>(v1, #)"]


def test_open_dimensions_that_no_target_can_name() -> None:
    """Both move on by one place, where a 0 would copy the wrong size, and only one of them can be -1."""
    text = """(float[N,M,6] x) => (float[A,B,C,D] y)
    <int64[2] s = {3,3}, int64[1] unit = {1}, int64[1] three = {3}>
    { n = Shape<end=1>(x) m = Shape<start=1, end=2>(x) t = Concat<axis=0>(unit, n, m, three)
      a, b = Split<axis=2>(x, s) c = Reshape(a, t) d = Reshape(b, t) y = Sub(c, d) }"""
    assert sum("Reshape" in line for line in lines_after(text)) == 2


def branch(name: str, nodes: list[onnx.NodeProto]) -> onnx.GraphProto:
    constants = {"zero": [0], "two": [2], "end": [99], "heads": [3, 1, 2]}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [3, 1, 2])]
    weights = [numpy_helper.from_array(np.array(v, np.int64), f"{name}_{k}") for k, v in constants.items()]
    return helper.make_graph(nodes, name, [], outputs, weights)


def test_inside_branches() -> None:
    """A value from outside is parted in each branch for itself; what the other branch takes does not count."""

    def cut(name: str, start: str, end: str, out: str) -> onnx.NodeProto:
        return helper.make_node("Slice", ["x", f"{name}_{start}", f"{name}_{end}", "axis"], [f"{name}_{out}"])

    whole = [
        cut("then", "two", "end", "b"),
        cut("then", "zero", "two", "a"),
        helper.make_node("Reshape", ["then_a", "then_heads"], ["then_c"]),
        helper.make_node("Reshape", ["then_b", "then_heads"], ["then_d"]),
        helper.make_node("Sub", ["then_c", "then_d"], ["then"]),
    ]
    half = [cut("else", "zero", "two", "a"), helper.make_node("Reshape", ["else_a", "else_heads"], ["else"])]
    nodes = [
        helper.make_node("Slice", ["x", "two", "end", "axis"], ["rest"]),
        helper.make_node("If", ["which"], ["y"], then_branch=branch("then", whole), else_branch=branch("else", half)),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, [3, 4]),
        helper.make_tensor_value_info("which", TensorProto.BOOL, []),
    ]
    outputs = [helper.make_tensor_value_info(n, TensorProto.FLOAT, None) for n in ("y", "rest")]
    weights = [
        numpy_helper.from_array(np.array([n], np.int64), name) for name, n in (("axis", 1), ("two", 2), ("end", 99))
    ]
    graph = helper.make_graph(nodes, "g", inputs, outputs, weights)
    before = load_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10))
    found = rewrite(before, steps(*SPLITS), evaluate=evaluate)
    valid(found.model)
    ops = {
        graph.name: [n.op_type for n in graph] for graph in (found.model.ir.graph, *found.model.ir.graph.subgraphs())
    }
    assert ops == {"g": ["Slice", "If"], "then": ["Reshape", "Split", "Sub"], "else": ["Slice", "Reshape"]}
    random = np.random.default_rng(3)
    with TemporaryDirectory() as folder:
        for which in (True, False):
            feed = {"x": random.standard_normal((3, 4)).astype(np.float32), "which": np.array(which)}
            for expected, answer in run_model(before, found.model, feed, Path(folder)).values():
                np.testing.assert_array_equal(answer, expected)
