"""The rules on arithmetic against ONNX Runtime: any shape of constant, any element type, and the odd numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rooftune.graph.load import load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.engine import Rewritten, rewrite
from rooftune.rewrite.order import all_steps
from tests.rewrite.running import plain_session, valid

Array = NDArray[Any]

ARITHMETIC = (
    "remove_noop_identity remove_noop_dropout remove_noop_cast remove_repeated_operator remove_decided_where "
    "remove_neutral_operand merge_casts fold_negation replace_sub_by_add replace_div_by_reciprocal fold_reciprocal "
    "replace_div_by_mul replace_pow_by_mul replace_min_max_by_clip replace_max_by_relu merge_clips "
    "merge_consecutive_muls merge_consecutive_adds factor_common_operand merge_consecutive_gemms "
    "merge_consecutive_matmuls reassociate_matmul"
).split()
SHAPE = (2, 3, 4)
CONSTANT_SHAPES = ((), (1,), (3, 1), (1, 3, 1), (4,), SHAPE)
FLOATS = ("float32", "float64", "float16")
WHOLE = ("int32", "int64")
STEPS = 5


def model(
    nodes: Sequence[onnx.NodeProto], inputs: dict[str, Array], outputs: dict[str, Any], constants: dict[str, Array],
    opset: int = 20,
) -> Model:  # fmt: skip
    def kind(name: str, dtype: Any, shape: Any) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(np.dtype(dtype)), shape)

    graph = helper.make_graph(
        list(nodes),
        "arithmetic",
        [kind(n, a.dtype, a.shape) for n, a in inputs.items()],
        [kind(n, d, None) for n, d in outputs.items()],
        [numpy_helper.from_array(np.asarray(a), n) for n, a in constants.items()],
    )
    return load_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10))


def both(before: Model, feed: dict[str, Array], names: Sequence[str]) -> tuple[Rewritten, list[tuple[Array, Array]]]:
    """The model rewritten by these rules, and every output before and after."""
    found = rewrite(before, [all_steps()[name] for name in names])
    assert not found.journal.notes, found.journal.notes
    answers = []
    for each in (before, found.model):
        session = plain_session(ir.to_proto(each.ir).SerializeToString())
        answers.append(session.run(list(before.outputs), feed))
    return found, list(zip(*answers, strict=True))


def agree(expected: Array, answer: Array, tolerance: float, between: float = 0.0) -> None:
    """The same infinities and NaN, and numbers within the tolerance of the largest; 0 and -0 are the same.

    between  how large numbers were on the way, where sums may have cancelled
    """
    assert expected.dtype == answer.dtype and expected.shape == answer.shape
    if expected.dtype.kind != "f":
        assert np.array_equal(expected, answer)
        return
    e, a = expected.astype(np.float64), answer.astype(np.float64)
    assert np.array_equal(np.isnan(e), np.isnan(a)), (e, a)
    odd = ~np.isfinite(e)
    assert np.array_equal(e[odd & ~np.isnan(e)], a[odd & ~np.isnan(e)]), (e, a)
    scale = np.abs(e[~odd]).max(initial=between)
    assert np.abs(e[~odd] - a[~odd]).max(initial=0.0) <= tolerance * scale, (e, a)


def special(dtype: str, seed: int, shape: tuple[int, ...] = SHAPE) -> Array:
    """Random numbers, some of them NaN, infinite, signed zeros, denormal, or at the ends of the range."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        info = np.iinfo(dtype)
        values = random.integers(-9, 10, shape).astype(dtype)
        odd = np.array([info.min, info.max, 0, -1, 1], dtype)
    else:
        limits = np.finfo(dtype)
        values = random.uniform(-3, 3, shape).astype(dtype)
        odd = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, limits.smallest_subnormal, limits.tiny, limits.max], dtype)
    where = random.random(shape) < 0.4
    values[where] = random.choice(odd, int(where.sum()))
    return values


def tame(dtype: str, seed: int, shape: tuple[int, ...] = SHAPE, *, positive: bool = False) -> Array:
    """Random numbers of moderate size, none near zero."""
    random = np.random.default_rng(seed)
    if np.dtype(dtype).kind in "iu":
        return np.asarray(random.integers(1, 9, shape) * (1 if positive else random.choice([-1, 1], shape)), dtype)
    values = random.uniform(0.25, 3, shape)
    return np.asarray(values if positive else values * random.choice([-1, 1], shape), dtype)


@st.composite
def exact_operators(draw: st.DrawFn, dtype: str) -> tuple[onnx.NodeProto, dict[str, Array]]:
    """An operator whose rewriting keeps every bit (but the sign of zero) whatever it is given."""
    floats = dtype in FLOATS
    ops = "Add Sub Mul Max Min Neg Abs Twice".split() + ("Div Pow Relu Clip Ceil Not0 Over".split() if floats else [])
    op = draw(st.sampled_from(ops))
    shape = draw(st.sampled_from(CONSTANT_SHAPES))
    seed = draw(st.integers(0, 99))
    if op in ("Neg", "Abs", "Relu", "Ceil"):
        return helper.make_node(op, ["x"], ["y"]), {}
    if op == "Twice":
        return helper.make_node("Identity", ["x"], ["y"]), {}
    if op == "Not0":
        return helper.make_node("Sub", ["c", "x"], ["y"]), {"c": np.zeros(shape, dtype)}
    if op == "Over":
        return helper.make_node("Div", ["c", "x"], ["y"]), {"c": np.ones(shape, dtype)}
    if op == "Pow":
        exponent = draw(st.sampled_from(("int32", "int64", dtype if dtype != "float16" else "float32")))
        return helper.make_node("Pow", ["x", "c"], ["y"]), {
            "c": np.full(shape, draw(st.sampled_from((1, 2))), exponent)
        }
    if op == "Clip":
        low, high = sorted(draw(st.sampled_from((-2, -0.5, 0, 0.5, 1, 2))) for _ in range(2))
        return helper.make_node("Clip", ["x", "c", "d"], ["y"]), {
            "c": np.array(low, dtype), "d": np.array(high, dtype),
        }  # fmt: skip
    number = draw(st.sampled_from((0, 1, 1, -1, 2, 0.5) if floats and op != "Add" else (0, 1, -3)))
    constant = np.full(shape, number, dtype)
    if op == "Div":
        constant = np.asarray(np.where(constant == 0, 4, constant), dtype)
    elif op in ("Max", "Min"):
        pass
    elif draw(st.booleans()) and not floats:
        constant = tame(dtype, seed, shape)
    operands = ["x", "c"] if draw(st.booleans()) or op in ("Sub", "Div") else ["c", "x"]
    return helper.make_node(op, operands, ["y"]), {"c": constant}


def chain(parts: Sequence[tuple[onnx.NodeProto, dict[str, Array]]], first: str) -> tuple[list[Any], dict[str, Array]]:
    """Operators one after the other, each reading x, c and d and making y, with names of their own."""
    nodes, constants = [], {}
    for place, (node, given_) in enumerate(parts):
        names = {"x": first if place == 0 else f"t{place}", "y": f"t{place + 1}", "c": f"c{place}", "d": f"d{place}"}
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        copy.input[:] = [names[n] for n in node.input]
        copy.output[:] = [names[n] for n in node.output]
        nodes.append(copy)
        constants.update({names[n]: a for n, a in given_.items()})
    return nodes, constants


EXACT = [name for name in ARITHMETIC if not name.startswith(("merge_consecutive", "factor", "fold_rec", "reass"))]


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_odd_numbers_stay_what_they_are(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(FLOATS + WHOLE))
    parts = data.draw(st.lists(exact_operators(dtype), min_size=1, max_size=STEPS))
    # the sign of a zero may change on the way, and 1/0 tells: a reciprocal only comes first
    parts = [p for i, p in enumerate(parts) if i == 0 or p[0].op_type != "Div" or p[0].input[0] == "x"]
    nodes, constants = chain(parts, "x")
    x = special(dtype, data.draw(st.integers(0, 999)))
    names = EXACT if dtype in FLOATS else ARITHMETIC
    before = model(nodes, {"x": x}, {f"t{len(parts)}": dtype}, constants)
    found, answers = both(before, {"x": x}, names)
    valid(found.model)
    for expected, answer in answers:
        agree(expected, answer, 0.0)


@st.composite
def float_operators(draw: st.DrawFn, dtype: str) -> tuple[onnx.NodeProto, dict[str, Array]]:
    op = draw(st.sampled_from("Add Sub Mul Div From Over Reciprocal Neg Square".split()))
    constant = tame(dtype, draw(st.integers(0, 99)), draw(st.sampled_from(CONSTANT_SHAPES)), positive=True)
    if op in ("Reciprocal", "Neg"):
        return helper.make_node(op, ["x"], ["y"]), {}
    if op == "Square":
        return helper.make_node("Pow", ["x", "c"], ["y"]), {"c": np.array(2, dtype)}
    if op in ("From", "Over"):
        return helper.make_node("Sub" if op == "From" else "Div", ["c", "x"], ["y"]), {"c": constant}
    return helper.make_node(op, ["x", "c"], ["y"]), {"c": constant}


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_regrouped_floats_stay_close(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(("float32", "float64")))
    parts = data.draw(st.lists(float_operators(dtype), min_size=2, max_size=STEPS))
    nodes, constants = chain(parts, "x")
    x = tame(dtype, data.draw(st.integers(0, 999)))
    x.reshape(-1)[:3] = (np.nan, np.inf, -np.inf)
    before = model(nodes, {"x": x}, {f"t{len(parts)}": dtype}, constants)
    _, ((expected, answer),) = both(before, {"x": x}, ARITHMETIC)
    exact = _in_double(nodes, constants, x)
    # where sums cancel or divisors vanish the operators' own rounding shows; there neither answer is the better one
    with np.errstate(invalid="ignore"):
        noise = np.abs(expected.astype(np.float64) - exact)
    clear = np.isfinite(exact) & (noise <= 1e-6 * np.abs(exact)) & (np.abs(exact) < 1e6)
    agree(np.where(clear, expected, 0), np.where(clear, answer, 0), 1e-5)
    ends = ~np.isfinite(x)
    agree(expected[ends], answer[ends], 1e-5, between=1.0)


def _in_double(nodes: Sequence[Any], constants: dict[str, Array], x: Array) -> Array:
    values: dict[str, Any] = {n: a.astype(np.longdouble) for n, a in constants.items()}
    values["x"] = x.astype(np.longdouble)
    does = {
        "Add": np.add, "Sub": np.subtract, "Mul": np.multiply, "Div": np.divide, "Pow": np.power,
        "Reciprocal": lambda a: 1 / a, "Neg": np.negative,
    }  # fmt: skip
    with np.errstate(all="ignore"):
        for node in nodes:
            values[node.output[0]] = does[node.op_type](*(values[n] for n in node.input))
    return np.asarray(values[nodes[-1].output[0]], np.float64)


@settings(max_examples=120, deadline=None)
@given(
    st.sampled_from(("float32", "float64", "int32")),
    st.sampled_from(CONSTANT_SHAPES), st.sampled_from(CONSTANT_SHAPES),
    st.sampled_from(((), (1,), (4,), SHAPE)), st.sampled_from(("Add", "Sub")), st.integers(0, 99),
)  # fmt: skip
def test_common_operands(dtype: str, a: Any, b: Any, x: Any, op: str, seed: int) -> None:
    """Also where the constants are larger than what they multiply."""
    constants = {"a": tame(dtype, seed, a, positive=True), "b": tame(dtype, seed + 1, b, positive=True)}
    value = tame(dtype, seed + 2, x)
    nodes = [
        helper.make_node("Mul", ["x", "a"], ["t"]),
        helper.make_node("Mul", ["b", "x"], ["u"]),
        helper.make_node(op, ["t", "u"], ["y"]),
    ]
    before = model(nodes, {"x": value}, {"y": dtype}, constants)
    found, ((expected, answer),) = both(before, {"x": value}, ["factor_common_operand"])
    agree(expected, answer, 1e-5)
    if dtype == "int32":
        assert not found.journal.applied


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(CONSTANT_SHAPES), st.sampled_from(((), (1,), (4,), (3, 1))), st.sampled_from(FLOATS))
def test_neutral_constants_may_still_broadcast(constant: Any, x: Any, dtype: str) -> None:
    value = special(dtype, 1, x) if x else np.array(1.5, dtype)
    nodes = [helper.make_node("Mul", ["c", "x"], ["t"]), helper.make_node("Neg", ["t"], ["y"])]
    before = model(nodes, {"x": value}, {"y": dtype}, {"c": np.ones(constant, dtype)})
    found, ((expected, answer),) = both(before, {"x": value}, ["remove_neutral_operand"])
    agree(expected, answer, 0.0)
    assert bool(found.journal.applied) == (expected.shape == value.shape)


CASTS = {
    "bool": TensorProto.BOOL, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int16": TensorProto.INT16,
    "uint16": TensorProto.UINT16, "int32": TensorProto.INT32, "uint32": TensorProto.UINT32,
    "int64": TensorProto.INT64, "uint64": TensorProto.UINT64, "float16": TensorProto.FLOAT16,
    "float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE,
}  # fmt: skip


@pytest.mark.parametrize("source", CASTS)
def test_every_pair_of_casts(source: str) -> None:
    kind = np.dtype(source)
    if kind.kind == "f":
        x = special(source, 3, (64,))
    elif kind.kind == "b":
        x = np.array([True, False])
    else:
        info = np.iinfo(kind)
        spread = np.linspace(info.min, info.max, 61).astype(np.float64).clip(info.min, float(info.max) * 0.999)
        x = np.concatenate([spread.astype(kind), np.array([info.min, info.max, 0, 1, 100], kind)])
    nodes, outputs = [], {}
    for middle, to in CASTS.items():
        nodes.append(helper.make_node("Cast", ["x"], [f"m_{middle}"], to=to))
        for last, end in CASTS.items():
            nodes.append(helper.make_node("Cast", [f"m_{middle}"], [f"{middle}_{last}"], to=end))
            outputs[f"{middle}_{last}"] = last
    # the first reader is no Cast, so that a pair that comes back to the input need not rename it
    before = model([helper.make_node("Identity", ["given"], ["x"]), *nodes], {"given": x}, outputs, {})
    found, answers = both(before, {"given": x}, ["merge_casts"])
    for name, (expected, answer) in zip(outputs, answers, strict=True):
        assert np.array_equal(expected, answer, equal_nan=expected.dtype.kind == "f"), name
    if source != "uint64":
        assert found.journal.applied


def test_constants_the_caller_may_replace_are_not_folded() -> None:
    x = tame("float32", 1)
    nodes = [
        helper.make_node("Mul", ["x", "c"], ["t"]),
        helper.make_node("Mul", ["t", "d"], ["u"]),
        helper.make_node("Div", ["u", "c"], ["v"]),
        helper.make_node("Sub", ["v", "c"], ["w"]),
        helper.make_node("Max", ["w", "c"], ["z"]),
        helper.make_node("Min", ["z", "d"], ["y"]),
    ]
    constants = {"c": np.array(1.0, np.float32), "d": np.array(3.0, np.float32)}
    before = model(nodes, {"x": x, **constants}, {"y": "float32"}, constants)
    found = rewrite(before, [all_steps()[name] for name in ARITHMETIC])
    assert not found.journal.applied
    assert graph_lines(found.model) == graph_lines(before)


def test_unknown_types_are_left_alone() -> None:
    """In the body of a function nobody knows what it will be called with: 7 / 2 may be 3."""
    body = helper.make_function(
        "local", "halve", ["x"], ["y"],
        [
            helper.make_node("Constant", [], ["c"], value_int=2),
            helper.make_node("CastLike", ["c", "x"], ["two"]),
            helper.make_node("Div", ["x", "two"], ["h"]),
            helper.make_node("Div", ["h", "two"], ["y"]),
        ],
        [helper.make_opsetid("", 20)],
    )  # fmt: skip
    x = np.array([7, -7, 9], np.int64)
    kind = helper.make_tensor_value_info("x", TensorProto.INT64, [3])
    graph = helper.make_graph(
        [helper.make_node("halve", ["x"], ["y"], domain="local")], "g", [kind],
        [helper.make_tensor_value_info("y", TensorProto.INT64, [3])],
    )  # fmt: skip
    opsets = [helper.make_opsetid("", 20), helper.make_opsetid("local", 1)]
    before = load_proto(helper.make_model(graph, functions=[body], opset_imports=opsets, ir_version=10))
    _, ((expected, answer),) = both(before, {"x": x}, ARITHMETIC)
    assert np.array_equal(expected, answer)


def test_inside_a_branch() -> None:
    """Outer values are read inside; the branch's own output cannot become one of them."""
    before = model_of_text(
        """(float[2] x, bool p) => (float[2] y) <float one = {1.0}, float half = {0.5}, float two = {2.0}>
        { a = Relu(x)
          y = If (p) <
            then_branch = g1 () => (float[2] u) { u = Mul(a, one) },
            else_branch = g2 () => (float[2] w) { b = Mul(a, half) c = Mul(b, two) w = Div(c, two) }
          > }"""
    )
    for truth in (True, False):
        feed = {"x": np.array([1.5, -2], np.float32), "p": np.array(truth)}
        found, ((expected, answer),) = both(before, feed, ARITHMETIC)
        agree(expected, answer, 0.0)
    valid(found.model)
    assert {r.node for r in found.journal.refused if r.rule == "remove_neutral_operand"}
    assert [n.op_type for n in found.model.ir.graph.all_nodes()].count("Div") == 0


def test_large_constants_are_not_read() -> None:
    size = 70_000
    nodes = [helper.make_node("Div", ["x", "c"], ["t"]), helper.make_node("Mul", ["t", "c"], ["y"])]
    before = model(nodes, {"x": np.ones(size, np.float32)}, {"y": "float32"}, {"c": np.ones(size, np.float32)})
    assert not rewrite(before, [all_steps()[name] for name in ARITHMETIC]).journal.applied


def test_a_long_chain_becomes_one_operator() -> None:
    text = " ".join(f"t{i + 1} = {('Mul', 'Div')[i % 2]}(t{i}, c)" for i in range(200))
    before = model_of_text(f"(float[2] x) => (float[2] y) <float c = {{1.5}}> {{ t0 = Relu(x) {text} y = Abs(t200) }}")
    found = rewrite(before, [all_steps()[name] for name in ARITHMETIC])
    assert len(graph_lines(found.model)) <= 3
    answer = plain_session(ir.to_proto(found.model.ir).SerializeToString()).run(None, {"x": np.ones(2, np.float32)})
    assert np.allclose(answer, 1, rtol=1e-5)
