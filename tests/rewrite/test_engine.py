"""The engine: names, subgraphs, functions, open dimensions, determinism, and no more work than there is."""

from __future__ import annotations

import resource
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import TensorProto, helper, numpy_helper

from rooftune.errors import InputError
from rooftune.graph.load import load, load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.builder import Builder
from rooftune.rewrite.engine import rewrite
from rooftune.rewrite.match import Match
from rooftune.rewrite.order import all_steps, choose_steps, default_steps
from rooftune.rewrite.rule import Replacement, Rule
from rooftune.verdicts import Exactness
from tests.rewrite.running import evaluate, plain_session, valid

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
