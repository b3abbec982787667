"""Rules inside branches, loops and functions, and on half and double precision: their own examples, transformed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import numpy as np
import onnx
import onnx_ir as ir
import pytest
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from rooftune.graph.load import load_proto
from rooftune.graph.model import Model
from rooftune.graph.text import model_of_text
from rooftune.rewrite.engine import Rewritten, rewrite
from rooftune.rewrite.order import ORDER, Step, all_steps, default_steps
from rooftune.rewrite.rule import Example
from tests.rewrite.running import Array, evaluate, plain_session, random_feed, valid

TURNS = 3
"""How often the Loop runs."""


def example_of(step: Step) -> Example:
    """The first example that a rule does not refuse."""
    return next(e for e in step.examples if not e.refused)


@cache
def proto_of(rule: str) -> ModelProto:
    example = example_of(all_steps()[rule])
    return ir.to_proto(model_of_text(example.before, opset=example.opset).ir)


def model_of(graph: GraphProto, like: ModelProto, functions: Sequence[onnx.FunctionProto] = ()) -> Model:
    imports = [*like.opset_import, *(helper.make_opsetid(f.domain, 1) for f in functions[:1])]
    return load_proto(helper.make_model(graph, opset_imports=imports, ir_version=10, functions=list(functions)))


def renamed(infos: Sequence[ValueInfoProto], form: str) -> list[ValueInfoProto]:
    """The same types under other names."""
    made = []
    for info in infos:
        copy = ValueInfoProto.FromString(info.SerializeToString())
        copy.name = form.format(info.name)
        made.append(copy)
    return made


def scalar(name: str, value: int | bool) -> TensorProto:
    return numpy_helper.from_array(np.asarray(value), name)


def in_branch(proto: ModelProto) -> Model:
    """The graph as a branch of an If that reads everything from outside."""
    graph, outputs = proto.graph, renamed(proto.graph.output, "out_{}")
    zeros = [numpy_helper.from_array(np.zeros(_sizes(o), _dtype(o)), f"zero_{o.name}") for o in graph.output]
    types = [helper.make_tensor_value_info(z.name, z.data_type, z.dims) for z in zeros]
    other = helper.make_graph([], "other", [], types, zeros)
    then = helper.make_graph(graph.node, "then", [], graph.output, value_info=graph.value_info)
    node = helper.make_node("If", ["open"], [o.name for o in outputs], then_branch=then, else_branch=other)
    inputs = [*graph.input, helper.make_tensor_value_info("open", TensorProto.BOOL, [])]
    return model_of(helper.make_graph([node], "main", inputs, outputs, graph.initializer), proto)


def in_loop(proto: ModelProto) -> Model:
    """The graph as the body of a Loop; the first input is carried where the first output has its type."""
    graph = proto.graph
    carried = list(graph.input[:1])
    if not carried or not graph.output or carried[0].type != graph.output[0].type:
        carried = []
    body = helper.make_graph(
        [*graph.node, helper.make_node("Identity", ["go"], ["on"])],
        "body",
        [_info("turn", TensorProto.INT64), _info("go", TensorProto.BOOL), *carried],
        [_info("on", TensorProto.BOOL), *graph.output],
        value_info=graph.value_info,
    )
    outputs = renamed(graph.output, "out_{}")
    for output in outputs[len(carried) :]:
        dims = output.type.tensor_type.shape.dim
        shape = [TURNS, *(d.dim_param or d.dim_value for d in dims)]
        output.CopyFrom(helper.make_tensor_value_info(output.name, output.type.tensor_type.elem_type, shape))
    first = renamed(carried, "first_{}")
    node = helper.make_node("Loop", ["turns", "yes", *(v.name for v in first)], [o.name for o in outputs], body=body)
    inputs = [*first, *graph.input[len(carried) :]]
    weights = [*graph.initializer, scalar("turns", TURNS), scalar("yes", True)]
    return model_of(helper.make_graph([node], "main", inputs, outputs, weights), proto)


def in_function(proto: ModelProto, calls: int) -> Model:
    """The graph as a function of the model, its weights as Constants, called once or more."""
    graph = proto.graph
    constants = [helper.make_node("Constant", [], [w.name], value=w) for w in graph.initializer]
    names = [v.name for v in graph.input], [v.name for v in graph.output]
    types = [*graph.input, *graph.output, *graph.value_info]
    nodes = [*constants, *graph.node]
    function = helper.make_function("own", "whole", *names, nodes, proto.opset_import, value_info=types)
    outputs = [renamed(graph.output, f"out{call}_{{}}") for call in range(calls)]
    callers = [helper.make_node("whole", names[0], [o.name for o in each], domain="own") for each in outputs]
    infos = [info for each in outputs for info in each]
    return model_of(helper.make_graph(callers, "main", graph.input, infos), proto, [function])


def _info(name: str, kind: int) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, [])


def _sizes(info: ValueInfoProto) -> list[int]:
    return [d.dim_value or 2 for d in info.type.tensor_type.shape.dim]


def _dtype(info: ValueInfoProto) -> Any:
    return helper.tensor_dtype_to_np_dtype(info.type.tensor_type.elem_type)


# other number formats


def in_format(proto: ModelProto, kind: int) -> Model:
    """The graph with another number format for float32; bfloat16 stays inside, for no caller can give it."""
    made = ModelProto.FromString(proto.SerializeToString())
    _convert(made.graph, kind)
    if kind == TensorProto.BFLOAT16:
        _wrap(made.graph, kind)
        for imported in made.opset_import:
            if imported.domain == "" and imported.version == 20:
                imported.version = 22  # since which convolutions and poolings take bfloat16
    del made.graph.value_info[:]
    return load_proto(made)


def _convert(graph: GraphProto, kind: int) -> None:
    kept = {node.input[2] for node in graph.node if node.op_type == "Resize" and len(node.input) > 2}  # always float32
    for info in (*graph.input, *graph.output):
        tensor = info.type.tensor_type
        if tensor.elem_type == TensorProto.FLOAT:
            tensor.elem_type = kind
    for weight in graph.initializer:
        if weight.name not in kept:
            weight.CopyFrom(_as_kind(weight, kind))
    for node in graph.node:
        if node.op_type == "ConstantOfShape" and not node.attribute:
            zero = numpy_helper.from_array(np.zeros(1, np.float32))
            node.attribute.append(helper.make_attribute("value", zero))
        for attribute in node.attribute:
            if attribute.type == onnx.AttributeProto.TENSOR:
                attribute.t.CopyFrom(_as_kind(attribute.t, kind))
            elif attribute.type == onnx.AttributeProto.GRAPH:
                _convert(attribute.g, kind)
            elif attribute.name == "value_float":
                tensor = numpy_helper.from_array(np.float32(attribute.f))
                attribute.CopyFrom(helper.make_attribute("value", _as_kind(tensor, kind)))
            elif attribute.name in ("to", "dtype") and attribute.i == TensorProto.FLOAT:
                attribute.i = kind


def _as_kind(tensor: TensorProto, kind: int) -> TensorProto:
    if tensor.data_type != TensorProto.FLOAT:
        return tensor
    array = numpy_helper.to_array(tensor).astype(helper.tensor_dtype_to_np_dtype(kind))
    return numpy_helper.from_array(array, tensor.name)


def _wrap(graph: GraphProto, kind: int) -> None:
    """Let Casts stand between the caller's float32 and the graph."""
    for infos, before in ((graph.input, True), (graph.output, False)):
        for info in infos:
            if info.type.tensor_type.elem_type == kind:
                info.type.tensor_type.elem_type = TensorProto.FLOAT
                inner, info.name = info.name, f"wide_{info.name}"
                if before:
                    graph.node.insert(0, helper.make_node("Cast", [info.name], [inner], to=kind))
                else:
                    graph.node.append(helper.make_node("Cast", [inner], [info.name], to=TensorProto.FLOAT))


# running


def compare(before: Model, found: Rewritten, precision: str = "", turns: int = 1) -> None:
    """Both give the same, as exactly as the rewriting says.

    They run on ONNX Runtime without optimisation; on ONNX's own implementation where that cannot run the original.

    precision  of what is computed, where the outputs are wider
    turns      how often errors add up
    """
    valid(found.model)
    assert list(found.model.inputs) == list(before.inputs) and list(found.model.outputs) == list(before.outputs)
    make = _session
    try:
        original = make(before)
    except Exception:  # the engine's exceptions have no common type
        assert precision in ("bfloat16", "float64"), "ONNX Runtime runs everything in float32 and float16"
        make = _reference
        original = make(before)
    rewritten = make(found.model)
    for seed in (1, 2):
        feed = random_feed(before, seed)
        if "open" in feed:
            feed["open"] = np.asarray(True)
        pairs = zip(before.outputs, original(feed), rewritten(feed), strict=True)
        for name, expected, answer in pairs:
            assert expected.dtype == answer.dtype and expected.shape == answer.shape, name
            a, b = expected.astype(np.float64), answer.astype(np.float64)
            odd = ~np.isfinite(a)
            assert np.array_equal(a[odd], b[odd], equal_nan=True), name
            scale, error = np.abs(a[~odd]).max(initial=0.0), np.abs(a[~odd] - b[~odd]).max(initial=0.0)
            allowed = found.exactness.tolerance_for(precision or expected.dtype.name) * turns
            if precision == "float64":
                allowed = min(allowed, 1e-12)
            assert error <= allowed * scale, f"{name}: {error / scale:.2e}, {allowed:.2e} is allowed"


Run = Callable[[dict[str, Array]], list[Array]]


def _session(model: Model) -> Run:
    session = plain_session(ir.to_proto(model.ir).SerializeToString())
    return lambda feed: session.run(None, feed)


def _reference(model: Model) -> Run:
    session = ReferenceEvaluator(ir.to_proto(model.ir))
    return lambda feed: [np.asarray(array) for array in session.run(None, feed)]


def ops(nodes: Sequence[ir.Node] | ir.Graph | ir.Function) -> list[str]:
    return [node.op_type for node in nodes]


@cache
def ops_after(rule: str) -> list[str]:
    """The operators that remain of the example where it is no part of anything."""
    found = rewrite(load_proto(proto_of(rule)), [all_steps()[rule]], evaluate=evaluate)
    return ops(found.model.ir.graph)


@pytest.mark.parametrize("rule", ORDER)
def test_in_a_branch(rule: str) -> None:
    before = in_branch(proto_of(rule))
    found = rewrite(before, [all_steps()[rule]], evaluate=evaluate)
    branch = found.model.ir.graph[-1].attributes["then_branch"].as_graph()
    assert ops(branch) == ops_after(rule)
    compare(before, found)


@pytest.mark.parametrize("rule", ORDER)
def test_in_a_loop(rule: str) -> None:
    before = in_loop(proto_of(rule))
    found = rewrite(before, [all_steps()[rule]], evaluate=evaluate)
    body = found.model.ir.graph[-1].attributes["body"].as_graph()
    assert ops(body)[:-1] == ops_after(rule)
    compare(before, found, turns=TURNS)


@pytest.mark.parametrize("calls", [1, 2])
@pytest.mark.parametrize("rule", ORDER)
def test_in_a_function(rule: str, calls: int) -> None:
    before = in_function(proto_of(rule), calls)
    found = rewrite(before, [all_steps()[rule]], evaluate=evaluate)
    (function,) = found.model.ir.functions.values()
    assert [op for op in ops(function) if op != "Constant"] in (ops_after(rule), ops(load_proto(proto_of(rule)).graph))
    compare(before, found)


def test_half_of_the_rules_apply_in_functions() -> None:
    """Inputs of functions have no types: whoever needs to know them, or a shape, leaves what it finds."""
    applied = [r for r in ORDER if rewrite(in_function(proto_of(r), 2), [all_steps()[r]]).journal.applied]
    assert len(applied) >= 45
    assert {"fold_batchnorm_into_conv", "merge_consecutive_muls", "merge_transposes", "merge_reshapes"} <= set(applied)


@pytest.mark.parametrize("rule", ORDER)
def test_all_rules_at_once_in_a_branch_in_a_loop(rule: str) -> None:
    before = in_loop(ir.to_proto(in_branch(proto_of(rule)).ir))
    found = rewrite(before, default_steps(), evaluate=evaluate)
    assert not found.journal.notes
    compare(before, found, turns=TURNS)


FORMATS = ("FLOAT16", "BFLOAT16", "DOUBLE")


@pytest.mark.parametrize("kind", FORMATS)
@pytest.mark.parametrize("rule", ORDER)
def test_in_another_format(rule: str, kind: str) -> None:
    before = in_format(proto_of(rule), TensorProto.DataType.Value(kind))
    try:
        valid(before)
    except onnx.shape_inference.InferenceError as why:
        pytest.skip(f"the operators of the example have no form for {kind.lower()}: {str(why)[-120:]}")
    found = rewrite(before, [all_steps()[rule]], evaluate=evaluate)
    remaining = [op for op in ops(found.model.ir.graph) if op != "Cast"]
    applied = [op for op in ops_after(rule) if op != "Cast"]
    assert remaining in (applied, [op for op in ops(before.graph) if op != "Cast"])
    compare(before, found, precision=kind.lower().replace("double", "float64"))


@pytest.mark.parametrize(("kind", "least"), list(zip(FORMATS, (75, 60, 80), strict=True)))
def test_most_rules_apply_in_another_format(kind: str, least: int) -> None:
    """Where a rule would save roundings in float32, it is refused in formats that have few digits."""
    number = TensorProto.DataType.Value(kind)
    applied = [r for r in ORDER if rewrite(in_format(proto_of(r), number), [all_steps()[r]]).journal.applied]
    assert len(applied) >= least
    assert {"fold_batchnorm_into_conv", "merge_transposes", "merge_reshapes", "merge_parallel_convs"} <= set(applied)
