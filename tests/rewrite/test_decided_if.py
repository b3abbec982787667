"""An If whose condition is constant: its branch takes its place, under names that nothing else has, bit by bit."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest

from rooftune.graph.load import load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.edit import graphs_of
from rooftune.rewrite.engine import Rewritten, rewrite
from rooftune.rewrite.order import all_steps, default_steps
from rooftune.verdicts import Exactness
from tests.rewrite.running import evaluate, random_feed, run_model, valid


def inlined(model: Model, *others: str) -> Rewritten:
    steps = [all_steps()[name] for name in ("lift_constants", "inline_decided_if", *others)]
    found = rewrite(model, steps, evaluate=evaluate)
    assert found.exactness is Exactness.BITWISE or others
    assert list(found.model.inputs) == list(model.inputs) and list(found.model.outputs) == list(model.outputs)
    clashes(found.model.ir.graph, frozenset())
    nodes = Counter(n.name for n in found.model.ir.graph.all_nodes() if n.name)
    assert max(nodes.values(), default=1) == 1, nodes
    return found


def clashes(graph: ir.Graph, outside: frozenset[str]) -> None:
    """Nothing has a name that something else has which it can see."""
    held = {id(v): v for v in (*graph.inputs, *graph.initializers.values())}.values()
    names = [v.name for v in (*held, *(v for node in graph for v in node.outputs)) if v.name]
    assert len(set(names)) == len(names) and not set(names) & outside
    for node in graph:
        for inner in graphs_of(node):
            clashes(inner, outside | set(names))


def same(before: Model, after: Model, folder: Path) -> None:
    """Bit by bit the same answers."""
    valid(after)
    for seed in (1, 2):
        for name, (expected, answer) in run_model(before, after, random_feed(before, seed), folder).items():
            assert expected.dtype == answer.dtype and np.array_equal(expected, answer, equal_nan=True), name


def ops(model: Model) -> list[str]:
    return [n.op_type for n in model.ir.graph.all_nodes()]


def test_names_that_other_branches_have_too_are_made_new(tmp_path: Path) -> None:
    """Branches of exporters share names; in one graph they cannot."""
    model = model_of_text(
        """(float[2,3] x, bool open) => (float[2,3] y) <bool yes = {1}, bool no = {0}>
        { a = If (yes) <then_branch = f () => (float[2,3] r) { t = Exp(x) r = Neg(t) },
                         else_branch = g () => (float[2,3] r) { t = Abs(x) r = Exp(t) }>
          b = If (no) <then_branch = f () => (float[2,3] r) { t = Exp(a) r = Neg(t) },
                        else_branch = g () => (float[2,3] r) { t = Abs(a) r = Sin(t) }>
          c = If (open) <then_branch = f () => (float[2,3] r) { t = Cos(b) r = Neg(t) },
                          else_branch = g () => (float[2,3] s) { u = Abs(b) s = Sin(u) }>
          y = Relu(c) }"""
    )
    for node in model.ir.graph.all_nodes():
        node.name = f"layer_{node.op_type}"  # in every graph again
    model.ir.graph[0].name, model.ir.graph[1].name, model.ir.graph[2].name = "one", "two", "three"
    found = inlined(model)
    assert [n.op_type for n in found.model.nodes] == ["Exp", "Neg", "Abs", "Sin", "If", "Relu"]
    assert [n.outputs[0].name for n in found.model.nodes][1::2] == ["a", "b", "y"]
    same(model, found.model, tmp_path)


def test_names_that_are_free_stay() -> None:
    model = model_of_text(
        """(float[2,3] x) => (float[2,3] y) <bool yes = {1}>
        { y = If (yes) <then_branch = f () => (float[2,3] r) <float w = {2.0}> { t = Mul(x, w) r = Neg(t) },
                         else_branch = g () => (float[2,3] r) <float w = {3.0}> { t = Mul(x, w) r = Exp(t) }> }"""
    )
    for node in model.ir.graph.all_nodes():
        node.name = f"my_{node.op_type}"
    found = inlined(model).model
    assert [n.name for n in found.nodes] == ["my_Mul", "my_Neg"]
    assert [n.outputs[0].name for n in found.nodes] == ["t", "y"]
    assert list(found.ir.graph.initializers) == ["yes", "w"]


def test_outputs_of_the_graph_keep_their_names_whatever_the_branch_gives(tmp_path: Path) -> None:
    """A value twice, a weight, and a value from outside: each output needs a value of its own."""
    model = model_of_text(
        """(float[2] x) => (float[2] a, float[2] b, float[2] c, float[2] d, float[2] z) <bool yes = {1}>
        { e = Exp(x)
          a, b, c, inner = If (yes)
            <then_branch = f () => (float[2] r, float[2] r2, float[2] w, float[2] v)
             <float[2] w = {2.0, 3.0}, float[2] v = {4.0, 5.0}> { r = Neg(e) r2 = Identity(r) },
             else_branch = g () => (float[2] s, float[2] t, float[2] u, float[2] q)
             { s = Neg(e) t = Abs(e) u = Sin(e) q = Cos(e) }>
          d = Add(inner, a) z = Mul(e, inner) }"""
    )
    branch = model.ir.graph[1].attributes["then_branch"].as_graph()
    plain = inlined(model)
    same(model, plain.model, tmp_path)
    assert plain.renamed == {"inner": "v"}, "the proof finds what has taken the place of an inner value"
    branch.outputs[1] = branch.outputs[0]  # engines do not run a branch with one value twice, but files have it
    branch.remove(branch[1], safe=True)
    twice = inlined(model)
    assert [n.op_type for n in twice.model.nodes] == ["Exp", "Neg", "Identity", "Identity", "Add", "Mul"]
    same(plain.model, twice.model, tmp_path)


def test_a_branch_that_gives_a_value_from_outside(tmp_path: Path) -> None:
    """Engines refuse such files; written without a branch they run."""
    text = """(float[2] x, bool open) => (float[2] y, float[2] z)
        { e = Exp(x)
          z = If (open) <then_branch = f () => (float[2] t)
              { i = If (yes) <then_branch = h () => (float[2] e) { }, else_branch = j () => (float[2] k) { k = Sin(x) }>
                t = Neg(i) }, else_branch = g () => (float[2] u) { u = Abs(e) }>
          y = If (yes) <then_branch = h () => (float[2] e) { }, else_branch = j () => (float[2] k) { k = Sin(x) }> }"""
    model = model_of_text(text.replace("{ e =", "<bool yes = {1}> { e ="))
    plain = model_of_text(
        """(float[2] x, bool open) => (float[2] y, float[2] z)
        { e = Exp(x) z = If (open) <then_branch = f () => (float[2] t) { t = Neg(e) },
                                    else_branch = g () => (float[2] u) { u = Abs(e) }>
          y = Identity(e) }"""
    )
    found = inlined(model).model
    assert ops(found) == ["Exp", "If", "Identity", "Neg", "Abs", "Identity"]
    same(plain, found, tmp_path)
    assert [n.op_type for n in model.ir.graph] == ["Exp", "If", "If"], "the original is left alone"
    assert not len(model.ir.graph[2].attributes["then_branch"].as_graph())


def test_what_a_branch_gives_from_outside_is_not_dead(tmp_path: Path) -> None:
    model = model_of_text(
        """(float[2] x, bool open) => (float[2] y)
        { e = Exp(x) i = Identity(e)
          y = If (open) <then_branch = f () => (float[2] i) { },
                          else_branch = g () => (float[2] u) { u = Abs(x) }> }"""
    )
    plain = model_of_text(
        """(float[2] x, bool open) => (float[2] y)
        { e = Exp(x) y = If (open) <then_branch = f () => (float[2] i) { i = Identity(e) },
                                     else_branch = g () => (float[2] u) { u = Abs(x) }> }"""
    )
    found = rewrite(model, default_steps(), evaluate=evaluate).model
    assert ops(found) == ["Exp", "If", "Identity", "Abs"]
    same(plain, found, tmp_path)


def test_ifs_in_ifs_in_ifs(tmp_path: Path) -> None:
    """Decided ones in both branches of one that is not, and one that is not in the branch of a decided one."""
    decided = """If (WHICH) <then_branch = h () => (float[2] r) <float w = {2.0}> { q = Mul(IN, w) r = Neg(q) },
                              else_branch = j () => (float[2] r) { q = Sin(IN) r = Abs(q) }>"""

    def one(which: str, value: str) -> str:
        return decided.replace("WHICH", which).replace("IN", value)

    model = model_of_text(
        f"""(float[2] x, bool open) => (float[2] y, float[2] z) <bool yes = {{1}}, bool no = {{0}}>
        {{ a = If (open) <then_branch = f () => (float[2] t) {{ p = {one("yes", "x")} t = {one("no", "p")} }},
                         else_branch = g () => (float[2] u) {{ u = {one("no", "x")} }}>
          y = If (yes) <then_branch = k () => (float[2] l)
                        {{ m = {one("yes", "a")}
                          l = If (open) <then_branch = n () => (float[2] r) {{ r = Cos(m) }},
                                         else_branch = o () => (float[2] r) {{ r = {one("no", "m")} }}> }},
                        else_branch = s () => (float[2] v) {{ v = {one("yes", "a")} }}>
          z = Tanh(y) }}"""
    )
    found = inlined(model)
    assert ops(found.model).count("If") == 2
    assert len(found.journal.applied) == 6, "the one in the branch that is not taken goes with it"
    assert not any(graph.initializers for graph in found.model.ir.graph.subgraphs())
    same(model, found.model, tmp_path)


@pytest.mark.parametrize("kind", ["Loop", "Scan"])
def test_in_the_body_of_a_loop(kind: str, tmp_path: Path) -> None:
    inside = """d = If (no) <then_branch = f () => (float[2] t) { t = Neg(s) },
                             else_branch = g () => (float[2] u) <float[2] w = {0.5, 2.0}> { u = Mul(s, w) }>"""
    if kind == "Loop":
        text = f"""(float[2] x) => (float[2] y, float[4,2] all) <int64 n = {{4}}, bool yes = {{1}}, bool no = {{0}}>
            {{ y, all = Loop (n, yes, x) <body = b (int64 i, bool go, float[2] s)
                        => (bool on, float[2] d, float[2] e) {{ on = Identity(go) {inside} e = Exp(d) }}> }}"""
    else:
        text = f"""(float[2] x, float[4,2] rows) => (float[2] y, float[4,2] all) <bool no = {{0}}>
            {{ y, all = Scan<num_scan_inputs = 1, body = b (float[2] s, float[2] row) => (float[2] d, float[2] e)
                       {{ {inside} e = Add(d, row) }}> (x, rows) }}"""
    model = model_of_text(text)
    found = inlined(model)
    assert "If" not in ops(found.model) and "Mul" in ops(found.model)
    assert "w" in found.model.ir.graph.initializers
    same(model, found.model, tmp_path)


def test_in_a_function_weights_become_constants(tmp_path: Path) -> None:
    proto = onnx.parser.parse_model(
        """<ir_version: 10, opset_import: ["" : 20, "own" : 1]>
        example (float[2] x) => (float[2] y) { t = own.choose(x) y = own.choose(t) }
        <domain: "own", opset_import: ["" : 20]> choose (a) => (b)
        { yes = Constant<value = bool {1}>()
          b = If (yes) <then_branch = f () => (float[2] t) <float[2] w = {2.0, 3.0}> { t = Mul(a, w) },
                         else_branch = g () => (float[2] u) { u = Neg(a) }> }"""
    )
    model = load_proto(proto)
    found = inlined(model)
    (function,) = found.model.ir.functions.values()
    assert [n.op_type for n in function] == ["Constant", "Mul"]
    assert not found.model.ir.graph.initializers
    same(model, found.model, tmp_path)


def test_what_the_caller_may_still_decide_is_left() -> None:
    text = """(float[2] x, bool c) => (float[2] y) <bool c = {1}>
        { y = If (c) <then_branch = f () => (float[2] t) { t = Exp(x) },
                       else_branch = g () => (float[2] u) { u = Neg(x) }> }"""
    model = model_of_text(text)
    assert model.ir.graph.inputs[1].is_graph_input() and model.ir.graph.inputs[1].const_value is not None
    assert graph_lines(inlined(model).model) == graph_lines(model)
    without = model_of_text(text.replace(" <bool c = {1}>", ""))
    assert graph_lines(inlined(without).model) == graph_lines(without)


def test_a_condition_that_rewriting_makes_constant(tmp_path: Path) -> None:
    model = model_of_text(
        """(float[4,3] x) => (float[4,3] y) <int64 axis = {0}, int64 limit = {3}>
        { s = Shape(x) n = Gather(s, axis) c = Greater(n, limit)
          r = If (c) <then_branch = f () => (float[4,3] t) { i = Identity(x) t = Exp(i) },
                       else_branch = g () => (float[4,3] u) { u = Neg(x) }>
          y = Identity(r) }"""
    )
    found = rewrite(model, default_steps(), evaluate=evaluate)
    assert graph_lines(found.model) == ["y = Exp(x)"]
    same(model, found.model, tmp_path)


def test_the_journal_shows_the_branch_and_its_price() -> None:
    model = model_of_text(
        """(float[2,3] x) => (float[2,3] y) <bool yes = {1}>
        { y = If (yes) <then_branch = f () => (float[2,3] r) { t = Exp(x) r = Neg(t) },
                         else_branch = g () => (float[2,3] q) { q = Abs(x) }> }"""
    )
    (entry,) = inlined(model).journal.applied
    assert entry.removed == ("If_0",) and len(entry.added) == 2
    assert entry.after == ("t = Exp(x)", "y = Neg(t)")
    assert entry.flops_delta == 0, "the work of the branch that is taken was counted before"
    assert entry.bytes_delta == 2 * 24 - 1, "what passes between its nodes comes, the condition goes"
