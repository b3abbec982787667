"""The engine: names, subgraphs, functions, open dimensions, determinism, and no more work than there is."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from rooftune.analysis.views import unfused_bytes
from rooftune.analysis.work import model_work
from rooftune.errors import InputError
from rooftune.graph.load import load, load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.machine.devices import find_machine
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.edit import Workplace
from rooftune.rewrite.engine import Rewritten, rewrite
from rooftune.rewrite.journal import Applied
from rooftune.rewrite.match import Match
from rooftune.rewrite.order import all_steps, choose_steps, default_steps
from rooftune.rewrite.price import Target
from rooftune.rewrite.rule import Replacement, Rule
from rooftune.rewrite.rules import fold_constants
from rooftune.rewrite.sweep import Sweep
from rooftune.verdicts import Exactness, Refusal
from tests.rewrite.running import evaluate, plain_session, random_feed, run_model, valid

CHAIN = """(float[1,3,8,8] x) => (float[1,4,6,6] y) <float[4,3,3,3] w, float[4] s, float[4] b, float[4] m, float[4] var>
    { c = Conv(x, w) n = BatchNormalization(c, s, b, m, var) y = Relu(n) }"""


def rewritten(model: Model) -> Model:
    return rewrite(model, default_steps(), evaluate=evaluate).model


def test_the_original_is_left_alone() -> None:
    model = model_of_text(CHAIN)
    before = graph_lines(model)
    rewritten(model)
    assert graph_lines(model) == before


def test_names_of_surviving_nodes_and_of_replaced_values_stay() -> None:
    model = model_of_text(CHAIN)
    for node, name in zip(model.nodes, ("conv", "norm", "act"), strict=True):
        node.name = name
    after = rewritten(model)
    assert [n.name for n in after.nodes][-1] == "act"
    assert [n.outputs[0].name for n in after.nodes] == ["n", "y"]


def test_the_same_model_is_rewritten_the_same_way() -> None:
    texts = [ir.to_proto(rewritten(model_of_text(CHAIN)).ir).SerializeToString(deterministic=True) for _ in range(3)]
    assert len(set(texts)) == 1


def test_rules_reach_into_branches() -> None:
    branch = helper.make_graph(
        [
            helper.make_node("Identity", ["x"], ["i"]),
            helper.make_node("Identity", ["i"], ["j"]),
            helper.make_node("Add", ["j", "one"], ["then"]),
        ],
        "then",
        [],
        [helper.make_tensor_value_info("then", TensorProto.FLOAT, [2])],
    )
    other = helper.make_graph(
        [helper.make_node("Neg", ["x"], ["else"])],
        "else",
        [],
        [helper.make_tensor_value_info("else", TensorProto.FLOAT, [2])],
    )
    nodes = [
        helper.make_node("ReduceSum", ["x"], ["sum"], keepdims=0),
        helper.make_node("Greater", ["sum", "one"], ["c"]),
        helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=other),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2])],
        [numpy_helper.from_array(np.float32(1), "one")],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    after = rewritten(load_proto(onnx.ModelProto.FromString(proto.SerializeToString())))
    inside = next(n for n in after.nodes if n.op_type == "If").attributes["then_branch"].as_graph()
    assert [n.op_type for n in inside] == ["Add"]
    valid(after)
    for value in (np.float32([3, 4]), np.float32([-3, 4])):
        expected = plain_session(proto.SerializeToString()).run(None, {"x": value})
        found = plain_session(ir.to_proto(after.ir).SerializeToString()).run(None, {"x": value})
        assert np.array_equal(expected[0], found[0])


def test_functions_keep_their_constants_inside() -> None:
    body = [
        helper.make_node("Constant", [], ["two"], value=numpy_helper.from_array(np.float32([2]))),
        helper.make_node("Constant", [], ["three"], value=numpy_helper.from_array(np.float32([3]))),
        helper.make_node("Mul", ["a", "two"], ["t"]),
        helper.make_node("Mul", ["t", "three"], ["b"]),
    ]
    function = helper.make_function("own", "scale", ["a"], ["b"], body, [helper.make_opsetid("", 17)])
    graph = helper.make_graph(
        [helper.make_node("scale", ["x"], ["y"], domain="own")],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4])],
    )
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    proto = helper.make_model(graph, opset_imports=imports, ir_version=8, functions=[function])
    after = rewritten(load_proto(onnx.ModelProto.FromString(proto.SerializeToString())))
    valid(after)
    feed = {"x": np.float32([1, 2, 3, 4])}
    found = plain_session(ir.to_proto(after.ir).SerializeToString()).run(None, feed)[0]
    assert np.array_equal(found, feed["x"] * 6)


def test_functions_of_another_operator_set_are_left() -> None:
    """Rules write operators as the model's own operator set has them."""
    text = """<ir_version: 10, opset_import: ["" : 20, "own" : 1]>
        example (float[2] x) => (float[2] y) { y = own.twice(x) }
        <domain: "own", opset_import: ["" : VERSION]> twice (a) => (b) { t = Identity(a) b = Neg(t) }"""
    for version, count in ((20, 1), (12, 2)):
        model = load_proto(onnx.parser.parse_model(text.replace("VERSION", str(version))))
        found = rewritten(model)
        (function,) = found.ir.functions.values()
        assert len(list(function)) == count, version


def test_open_dimensions_stay_open() -> None:
    model = model_of_text(CHAIN.replace("float[1,3,8,8] x", "float[N,3,8,8] x").replace("[1,4,6,6]", "[N,4,6,6]"))
    after = rewritten(model)
    assert [str(d) for d in after.outputs["y"].dims] == ["N", "4", "6", "6"]  # type: ignore[union-attr]
    assert after.open_dimensions == ("N",)


def test_large_external_weights_are_never_read(tmp_path: Path) -> None:
    rows, columns = 1 << 15, 1 << 14  # 2 GiB in float32
    data = tmp_path / "model.data"
    with data.open("wb") as file:
        file.truncate(rows * columns * 4)  # a sparse file: nothing on disk
    weight = TensorProto(
        name="w", data_type=TensorProto.FLOAT, dims=[rows, columns], data_location=TensorProto.EXTERNAL
    )
    weight.external_data.add(key="location", value=data.name)
    weight.external_data.add(key="length", value=str(rows * columns * 4))
    nodes = [
        helper.make_node("Identity", ["x"], ["i"]),
        helper.make_node("MatMul", ["i", "w"], ["p"]),
        helper.make_node("Identity", ["p"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, columns])],
        [weight],
    )
    path = tmp_path / "model.onnx"
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    after = rewritten(load(path))
    assert [n.op_type for n in after.nodes] == ["MatMul"]
    assert (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024 < 100 << 20


class _Forth(Rule):
    """Turn Relu into Sigmoid."""

    pattern = "Relu(x)"
    exactness = Exactness.BITWISE
    examples = ()

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Sigmoid(m.x)


class _Back(Rule):
    """Turn Sigmoid into Relu."""

    pattern = "Sigmoid(x)"
    exactness = Exactness.BITWISE
    examples = ()

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Relu(m.x)


def test_rules_that_undo_one_another_are_stopped() -> None:
    found = rewrite(model_of_text("(float[2] x) => (float[2] y) { y = Relu(x) }"), [_Forth(), _Back()])
    assert any("undo" in note for note in found.journal.notes)
    valid(found.model)


def test_unknown_rules_are_refused() -> None:
    with pytest.raises(InputError, match="no rule 'fold_everything'"):
        choose_steps(("fold_everything",))
    assert {s.name for s in choose_steps(skip=("fold_constants",))} == {s.name for s in default_steps()} - {
        "fold_constants"
    }
    assert [s.name for s in choose_steps(("fold_constants",))] == ["fold_constants"]
    assert list(all_steps())[: len(default_steps())] == [s.name for s in default_steps()]


SWEEPS = (
    "lift_constants fold_shapes fold_constants merge_duplicate_initialisers eliminate_common_subexpressions "
    "remove_dead_nodes"
).split()

WASTE = """(float[2,3,4] x) => (float[2,3,4] y, float[2,3,4] z, float[2,3,4] w)
    <float[4] var, float[1] one = {1}, float[1] same = {1}>
    { c = Constant<value = float {2.0}>() r = Sqrt(var) d = Div(c, r) m = Mul(x, d)
      e = Exp(x) f = Exp(x) g = Sigmoid(e) h = Sigmoid(f) a = Add(g, h) b = Mul(a, m)
      l = Log(b) l1, l2 = Split<axis=0, num_outputs=2>(l) l3 = Add(l1, l2)
      s = Shape(b) y = Reshape(b, s) z = Sub(x, one) w = Sub(x, same) }"""


def swept(text: str, target: Target | None = None) -> tuple[Model, Rewritten]:
    model = model_of_text(text)
    return model, rewrite(model, [all_steps()[name] for name in SWEEPS], target=target, evaluate=evaluate)


def cost(model: Model) -> tuple[float, float]:
    """FLOPs and unfused bytes of all nodes."""
    works = model_work(model)
    return sum(float(w.work.flops) for w in works), sum(float(unfused_bytes(w)) for w in works)  # type: ignore


def test_what_sweeps_save_adds_up_to_what_the_analysis_says() -> None:
    model, found = swept(WASTE)
    assert {a.rule for a in found.journal.applied} == set(SWEEPS)
    saved = [sum(d) for d in zip(*((a.flops_delta, a.bytes_delta) for a in found.journal.applied))]  # type: ignore
    assert saved == [after - before for before, after in zip(cost(model), cost(found.model))]
    by_node = {a.node: a for a in found.journal.applied}
    assert by_node["Log_10"].flops_delta == -24 and by_node["Log_10"].bytes_delta == -2 * 96
    assert by_node["Split_11"].bytes_delta == -2 * 96, "both of its outputs were read, by a node that went as well"
    assert by_node["Div_2"].removed == ("Div_2", "Sqrt_1")
    assert by_node["Div_2"].flops_delta == 0, "engines compute it when they load the model"
    assert by_node["Exp_5"].flops_delta == -24 and by_node["Constant_0"].bytes_delta == 0


def test_seconds_are_predicted_for_a_target_only() -> None:
    _, plain = swept(WASTE)
    _, found = swept(WASTE, Target(find_machine("raspberry-pi-5"), 4, "onnxruntime"))
    assert [a.node for a in plain.journal.applied] == [a.node for a in found.journal.applied]
    assert all(a.seconds_delta is None for a in plain.journal.applied)
    seconds = {a.node: a.seconds_delta for a in found.journal.applied}
    assert seconds["Constant_0"] == 0 and seconds["Div_2"] == 0
    assert all(seconds[node] is not None and seconds[node] < 0 for node in ("Log_10", "Exp_5", "Shape_13"))  # type: ignore


def test_an_identity_for_the_second_of_two_equal_outputs_is_in_the_journal() -> None:
    _, found = swept("(float[2] x) => (float[2] y, float[2] z) { y = Relu(x) z = Relu(x) }")
    (entry,) = found.journal.applied
    assert entry.removed == ("Relu_1",) and len(entry.added) == 1 and "Identity" in entry.after[0]
    assert sum(entry.flops_delta or 0 for entry in found.journal.applied) == -2
    assert found.journal.by_rule({})[0].nodes_delta == 0


def test_a_dead_branch_frees_what_only_it_has_read() -> None:
    text = """(float[2] x, bool c) => (float[2] y)
      { e = Exp(x) f = Abs(x)
        i = If (c) <then_branch = g () => (float[2] t) { u = Neg(f) v = Neg(f) t = Add(e, u) },
                    else_branch = h () => (float[2] s) { s = Neg(e) }>
        k = Relu(i) y = Sigmoid(f) }"""
    _, found = swept(text)
    assert graph_lines(found.model) == ["f = Abs(x)", "y = Sigmoid(f)"]
    assert {a.node for a in found.journal.applied} >= {"Exp_0", "If_2", "Relu_3"}


def test_parts_that_share_nodes_are_computed_when_the_model_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(fold_constants, "READ_NOW", 0)  # as if the weights were large
    model = model_of_text(
        """(float[2,3] x, float[4,3] z) => (float[2,4] y, float[4,4] u) <float[3,4] w, float[3,4] v>
        { n = Mul(w, v) y = MatMul(x, n) t = Neg(n) s = Abs(t) u = MatMul(z, s) }"""
    )
    found = rewrite(model, [all_steps()["fold_constants"]], evaluate=evaluate)
    assert graph_lines(found.model) == ["y = MatMul(x, #)", "u = MatMul(z, #)"]
    for expected, answer in run_model(model, found.model, random_feed(model, 1), tmp_path).values():
        np.testing.assert_allclose(answer, expected, rtol=1e-5)


def test_sweeps_say_what_they_left_and_why() -> None:
    model = model_of_text(
        """(float[1024,1024] x) => (float[1024,1024] y) <float zero, int64[2] size = {1024,1024}>
        { t = Expand(zero, size) y = Add(x, t) }"""
    )
    found = rewrite(model, [all_steps()["fold_constants"]], evaluate=evaluate)
    assert [(r.rule, r.node) for r in found.journal.refused] == [("fold_constants", "Expand_0")]
    assert f"{1024 * 1024 * 4 - 4 - 16:,} bytes" in found.journal.refused[0].reason


def test_channels_are_not_routed_where_a_large_weight_would_be_stored_twice() -> None:
    text = """(float[1,260,2,2] x, float[1,260,2,2] z) => (float[1,260,2,2] y, float[1,260,2,2] u)
      <float[260,260,1,1] v, float[260,260,1,1] w, int64[5] s = {1,2,130,2,2}, int64[4] t = {1,260,2,2}>
      { p = Reshape(x, s) q = Transpose<perm=[0,2,1,3,4]>(p) k = Reshape(q, t) y = Conv(k, w) u = Conv(z, OTHER) }"""
    steps = [all_steps()["route_channels"]]
    assert rewrite(model_of_text(text.replace("OTHER", "v")), steps).journal.applied
    found = rewrite(model_of_text(text.replace("OTHER", "w")), steps)
    assert not found.journal.applied
    assert [(r.rule, r.reason) for r in found.journal.refused] == [
        ("route_channels", "the weight w is shared and would be stored twice")
    ]


class _Watch(Sweep):
    """Refuse to touch any node."""

    examples = ()

    def run(self, place: Workplace) -> list[Applied]:
        for node in place.all_nodes():
            place.refuse("watch", node, Refusal("left"))
        return []


def test_refusals_of_sweeps_stand_when_they_were_said_in_the_last_round() -> None:
    model = model_of_text("(float[2] x) => (float[2] y) { a = Relu(x) b = Relu(a) y = Neg(b) }")
    found = rewrite(model, [_Watch(), _Forth()])
    assert [n.op_type for n in found.model.nodes] == ["Sigmoid", "Sigmoid", "Neg"]
    assert [r.node for r in found.journal.refused] == [n.name for n in found.model.nodes]


def _wasteful(blocks: int) -> Model:
    """13 nodes a block, of which 4 remain: constants, twins, dead ends, shapes, Identities."""
    nodes, weights, x = [], [], "x"
    for block in range(blocks):

        def node(op: str, *inputs: str, block: int = block, **attributes: object) -> str:
            name = f"b{block}_{op}_{len(nodes)}"
            nodes.append(helper.make_node(op, inputs, [name], name=name, **attributes))
            return name

        weights.append(numpy_helper.from_array(np.full(16, 2 + block, np.float32), f"var{block}"))
        constant = node("Constant", value=numpy_helper.from_array(np.float32([1.5 + block])))
        same = node("Identity", x)
        twins = node("Add", node("Relu", same), node("Relu", same))
        scaled = node("Mul", twins, node("Div", node("Sqrt", f"var{block}"), constant))
        node("Log", node("Exp", scaled))
        x = node("Tanh", node("Reshape", scaled, node("Shape", scaled)))
    info = helper.make_tensor_value_info
    ends = [info("x", TensorProto.FLOAT, [4, 16])], [info(x, TensorProto.FLOAT, [4, 16])]
    graph = helper.make_graph(nodes, "g", *ends, weights)
    return load_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8))


def test_ten_thousand_nodes_take_seconds() -> None:
    model = _wasteful(770)
    assert model.graph.num_nodes() > 10_000
    started = time.process_time()
    found = rewrite(model, default_steps(), target=Target(find_machine("raspberry-pi-5"), 4, "onnxruntime"))
    assert time.process_time() - started < 10
    assert len(found.journal.applied) > 5 * 770
    assert all(a.flops_delta is not None and a.bytes_delta is not None for a in found.journal.applied)


def test_draws_are_not_the_same_value_twice() -> None:
    text = """(float[2,3] x) => (float[2,3] y)
        { r = Relu(x) s = Relu(x) a = Bernoulli(r) b = Bernoulli(s) y = Add(a, b) }"""
    found = rewrite(model_of_text(text), [all_steps()["eliminate_common_subexpressions"]])
    assert graph_lines(found.model) == ["r = Relu(x)", "a = Bernoulli(r)", "b = Bernoulli(r)", "y = Add(a, b)"]
