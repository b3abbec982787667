"""Inputs of integers: tables that they select rows of, and maps that are made of them, against ONNX Runtime."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from rooftune.compiler.describe import layout_lines, lowered_lines
from rooftune.compiler.lower import lower
from rooftune.compiler.lowering import Lowered
from rooftune.compiler.machine_code import emit_object
from rooftune.compiler.operations import Convert, Embedding
from rooftune.compiler.program import build
from rooftune.compiler.target import Target, host_target, target_for
from rooftune.execute import native_program
from rooftune.execute.native_program import NativeProgram
from rooftune.graph.load import load_proto

from .running import TARGETS, guarded
from .single_nodes import numbers, refusal

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")

Array = NDArray[Any]
Node = tuple[str, list[str], dict[str, Any]]
"""Operator, inputs and attributes; the results are called v0, v1, ... and the last is the output."""

KINDS = ("bool", "uint8", "int32", "int64")


@pytest.fixture(params=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Target:
    return TARGETS[request.param]


def model(nodes: Sequence[Node], x: Array, constants: dict[str, Array] | None = None) -> onnx.ModelProto:
    """A model whose input `x` is of the type of an array, and whose output is fp32."""
    made = [
        helper.make_node(kind, inputs, [f"v{place}"], name=f"node{place}", **attributes)
        for place, (kind, inputs, attributes) in enumerate(nodes)
    ]
    graph = helper.make_graph(
        made,
        "integers",
        [helper.make_tensor_value_info("x", helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)],
        [helper.make_tensor_value_info(f"v{len(nodes) - 1}", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in (constants or {}).items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def reference(proto: onnx.ModelProto, x: Array) -> Array:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(proto.SerializeToString(), options, providers=["CPUExecutionProvider"])
    found: Array = session.run(None, {"x": x})[0]
    return found


def operations(proto: onnx.ModelProto) -> Lowered:
    found = lower(load_proto(proto))
    assert isinstance(found, Lowered), str(found)
    return found


def run(proto: onnx.ModelProto, x: Array, target: Target | None = None, threads: int = 1) -> Array:
    """The output, twice the same, with pages around all memory that nobody may touch."""
    target = target or host_target()
    assert target is not None
    native = NativeProgram(build(operations(proto), replace(target, threads=threads)), guarded)
    try:
        (first,), (again,) = native.run({"x": x}).values(), native.run({"x": x}).values()
    finally:
        native.close()
    np.testing.assert_array_equal(first, again)
    return first


def embedding(x: Array, table: Array) -> onnx.ModelProto:
    return model([("Gather", ["t", "x"], {})], x, {"t": table})


def some_rows(rows: int, *dims: int, kind: str = "int64", seed: int = 0) -> Array:
    """Indices of rows, counted from both ends, the first and the last ones among them."""
    found = np.random.default_rng(seed).integers(-rows, rows, dims)
    flat = found.reshape(-1)
    ends = [-rows, rows - 1, 0, -1][: flat.size]
    flat[: len(ends)] = ends
    return found.astype(kind)


@pytest.mark.parametrize("dims", [(), (1,), (7,), (3, 5), (1, 2, 6), (2, 1, 3, 4)])
@pytest.mark.parametrize("channels", [1, 3, 16, 17, 48, 64])
def test_rows_of_a_table(dims: tuple[int, ...], channels: int, target: Target) -> None:
    table = numbers(11, channels)
    for threads, kind in ((1, "int64"), (2, "int32")):
        x = some_rows(11, *dims, kind=kind)
        found = run(embedding(x, table), x, target, threads)
        np.testing.assert_array_equal(found, reference(embedding(x, table), x))
        np.testing.assert_array_equal(found, table[x])


def test_an_embedding_is_one_step_that_keeps_the_table_as_it_is() -> None:
    x, table = some_rows(1000, 4, 32), numbers(1000, 40)
    found = operations(embedding(x, table))
    assert [type(op) for op in found.operations] == [Embedding]
    target = host_target()
    assert target is not None
    program = build(found, target)
    assert [step.kernel for step in program.steps] == ["embedding", "unpack"]
    packed, _ = program.pack()
    assert packed.size == table.size


def test_a_table_that_two_nodes_select_from_is_kept_once() -> None:
    x, table = some_rows(100, 2, 3, 5), numbers(100, 16)
    nodes: list[Node] = [
        ("Slice", ["x", "zero", "one", "zero"], {}),
        ("Slice", ["x", "one", "two", "zero"], {}),
        ("Gather", ["t", "v0"], {}),
        ("Gather", ["t", "v1"], {}),
        ("Sub", ["v2", "v3"], {}),
    ]
    proto = model(nodes, x, {"t": table, "zero": np.int64([0]), "one": np.int64([1]), "two": np.int64([2])})
    target = host_target()
    assert target is not None
    assert build(operations(proto), target).pack()[0].size == table.size
    np.testing.assert_array_equal(run(proto, x), table[x[:1]] - table[x[1:]])


@pytest.mark.parametrize("wrong", [11, -12, 1 << 40, -(1 << 63)])
def test_rows_that_are_not_there(wrong: int) -> None:
    table, x = numbers(11, 17), some_rows(11, 3, 5)
    proto, target = embedding(x, table), host_target()
    assert target is not None
    native = NativeProgram(build(operations(proto), target), guarded)
    bad = x.copy()
    bad[1, 2] = wrong
    with pytest.raises(ValueError, match=rf"input x holds {wrong}, .* table of 11: integers from -11 to 10"):
        native.run({"x": bad})
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidArgument):
        reference(proto, bad)
    np.testing.assert_array_equal(native.run({"x": x})["v0"], table[x])
    native.close()


def test_only_what_is_read_must_be_there() -> None:
    """What lies outside of the part that selects is nobody's business."""
    x = np.array([[99, 1, 2], [-77, 0, -3]])
    nodes: list[Node] = [("Slice", ["x", "from", "to", "axis"], {}), ("Gather", ["t", "v0"], {})]
    constants = {"t": numbers(3, 20), "from": np.int64([1]), "to": np.int64([3]), "axis": np.int64([1])}
    proto = model(nodes, x, constants)
    np.testing.assert_array_equal(run(proto, x), constants["t"][x[:, 1:]])
    x[1, 1] = 3
    with pytest.raises(ValueError, match="input x holds 3,"):
        run(proto, x)


@pytest.mark.parametrize("wrong", [11, -12, 1 << 62, -(1 << 63)])
def test_native_code_itself_stays_inside(wrong: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An array may change after it was looked at; the pages around the weights end the process when they are read."""
    monkeypatch.setattr(native_program, "_require_rows", lambda *_: None)
    table, x = numbers(11, 16), some_rows(11, 3, 5)
    x[1, 2] = wrong
    found = run(embedding(x, table), x)
    assert (found[1, 2] == table).all(axis=1).any()


@pytest.mark.parametrize(
    ("indices", "axis"),
    [(np.arange(5)[None], 0), (np.int64([3, 3, 0]), 0), (np.int64(-2), 0), (np.int32([[1, -1], [0, 2]]), 1)],
)
def test_rows_that_are_known_ahead(indices: Array, axis: int, target: Target) -> None:
    """Positions of tokens, where nobody folded them."""
    x, table = np.int64([[1, 0, 1, 1, 0]]), numbers(8, 20)
    nodes: list[Node] = [
        ("Gather", ["t", "known"], {"axis": axis}),
        ("Cast", ["x"], {"to": TensorProto.FLOAT}),
        ("ReduceMax", ["v1"], {"keepdims": 0}),
        ("Mul", ["v0", "v2"], {}),
    ]
    proto = model(nodes, x, {"t": table, "known": indices})
    found = run(proto, x, target)
    np.testing.assert_array_equal(found, reference(proto, x))
    np.testing.assert_array_equal(found, np.take(table, indices, axis))
    assert "what is there" in refusal(model(nodes, x, {"t": table, "known": indices + np.asarray(20, indices.dtype)}))


def test_indices_are_cast_as_the_model_says() -> None:
    """2^32 + 3 is 3 as an int32: that is what selects."""
    x, table = np.array([3, (1 << 32) + 3, -(1 << 32) - 1, -1]), numbers(5, 16)
    proto = model([("Cast", ["x"], {"to": TensorProto.INT32}), ("Gather", ["t", "v0"], {})], x, {"t": table})
    found = run(proto, x)
    np.testing.assert_array_equal(found, reference(proto, x))
    np.testing.assert_array_equal(found, table[[3, 3, -1, -1]])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dims", [(), (5,), (3, 40), (2, 3, 17), (2, 3, 5, 4), (2, 1, 1, 33), (2, 3, 2, 5, 3)])
def test_casts_to_numbers(kind: str, dims: tuple[int, ...], target: Target) -> None:
    x = np.random.default_rng(1).integers(0, 255, dims).astype(kind)
    if kind.startswith("int"):
        x = np.asarray(x - np.asarray(100, kind))
    proto = model([("Cast", ["x"], {"to": TensorProto.FLOAT})], x)
    for threads in (1, 2):
        found = run(proto, x, target, threads)
        np.testing.assert_array_equal(found, reference(proto, x))
        np.testing.assert_array_equal(found, x.astype(np.float32))


def test_large_integers_are_rounded_to_the_nearest() -> None:
    powers = [s * ((1 << p) + d) for p in (23, 24, 25, 31, 52, 53, 62) for d in (-3, -1, 0, 1, 3) for s in (1, -1)]
    x = np.array([*powers, -(1 << 63), (1 << 63) - 1])
    proto = model([("Cast", ["x"], {"to": TensorProto.FLOAT})], x)
    np.testing.assert_array_equal(run(proto, x), x.astype(np.float32))
    np.testing.assert_array_equal(run(proto, x), reference(proto, x))


@pytest.mark.parametrize("kind", KINDS)
def test_arrays_may_begin_anywhere(kind: str) -> None:
    size = np.dtype(kind).itemsize
    x = np.zeros(6 * size + 1, np.uint8)[1:].view(kind).reshape(2, 3)
    x[:] = [[1, 0, 1], [0, 1, 1]]
    assert kind in ("bool", "uint8") or not x.flags.aligned
    proto = model([("Cast", ["x"], {"to": TensorProto.FLOAT})], x)
    np.testing.assert_array_equal(run(proto, x), [[1, 0, 1], [0, 1, 1]])
    turned = np.asfortranarray(x)
    np.testing.assert_array_equal(run(proto, turned), [[1, 0, 1], [0, 1, 1]])


def test_any_byte_but_zero_is_true() -> None:
    x = np.array([0, 1, 2, 128, 255], np.uint8).view(np.bool_)
    proto = model([("Cast", ["x"], {"to": TensorProto.FLOAT})], x)
    np.testing.assert_array_equal(run(proto, x), [0, 1, 1, 1, 1])


@pytest.mark.parametrize("operator", ["Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"])
@pytest.mark.parametrize("kind", ["int32", "int64"])
def test_comparisons(operator: str, kind: str, target: Target) -> None:
    x = np.random.default_rng(2).integers(-3, 4, (2, 21)).astype(kind)
    constants = {"zero": np.zeros((2, 1), kind), "one": np.asarray(1, kind)}
    for number in constants:
        nodes: list[Node] = [(operator, ["x", number], {}), ("Cast", ["v0"], {"to": TensorProto.FLOAT})]
        proto = model(nodes, x, constants)
        np.testing.assert_array_equal(run(proto, x, target), reference(proto, x))


def test_masks_that_say_where_minus_infinity_goes(target: Target) -> None:
    """The mask of a transformer, in three spellings: 0 where a token may be looked at."""
    x = np.random.default_rng(3).integers(0, 2, (2, 19))
    constants = {"axes": np.int64([1, 2]), "one": np.float32(1), "low": np.float32([-np.inf]), "zero": np.float32(0)}
    constants |= {"none": np.int64(0), "sizes": np.int64([2, 1, 6, 19]), "much": np.float32(-10000)}
    spellings: list[list[Node]] = [
        [
            ("Unsqueeze", ["x", "axes"], {}),
            ("Cast", ["v0"], {"to": TensorProto.FLOAT}),
            ("Sub", ["one", "v1"], {}),
            ("Mul", ["v2", "much"], {}),
        ],
        [
            ("Cast", ["x"], {"to": TensorProto.BOOL}),
            ("Unsqueeze", ["v0", "axes"], {}),
            ("Expand", ["v1", "sizes"], {}),
            ("Where", ["v2", "zero", "low"], {}),
        ],
        [
            ("Equal", ["x", "none"], {}),
            ("Not", ["v0"], {}),
            ("Not", ["v1"], {}),
            ("Unsqueeze", ["v2", "axes"], {}),
            ("Where", ["v3", "low", "zero"], {}),
        ],
    ]
    for nodes in spellings:
        proto = model(nodes, x, constants)
        for threads in (1, 2):
            np.testing.assert_array_equal(run(proto, x, target, threads), reference(proto, x))


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("turned", [False, True])
def test_choices_by_integers(batch: int, turned: bool, target: Target) -> None:
    """Where, between a number, a row, and maps; what is not chosen may be anything."""
    x = np.random.default_rng(5).integers(-7, 7, (batch, 5))
    table = numbers(7, 18)
    table[2], table[3, 4] = np.inf, np.nan
    constants = {"t": table, "none": np.int64(0), "axes": np.int64([2]), "row": numbers(18), "low": np.float32(-1e9)}
    constants |= {"many": numbers(batch, 5, 18), "five": np.float32(5)}
    for other in ("low", "row", "many", "v4"):
        nodes: list[Node] = [
            ("Gather", ["t", "x"], {}),
            ("Greater", ["x", "none"], {}),
            ("Not", ["v1"], {}) if turned else ("Identity", ["v1"], {}),
            ("Unsqueeze", ["v2", "axes"], {}),
            ("Mul", ["v0", "five"], {}),
            ("Where", ["v3", "v0", other], {}),
            ("Where", ["v3", other, "v5"], {}),
        ]
        for last in (6, 7):
            proto = model(nodes[:last], x, constants)
            for threads in (1, 2):
                np.testing.assert_array_equal(run(proto, x, target, threads), reference(proto, x))


@pytest.mark.parametrize("batch", [1, 2])
def test_masks_filled_in_between(batch: int) -> None:
    """Scores of [batch, heads, 6, 6] with -inf where a token is missing, twice by the same condition."""
    x = np.random.default_rng(6).integers(0, 2, (batch, 6))
    constants = {"t": numbers(2, 24), "none": np.int64(0), "heads": np.int64([batch, 6, 3, 8]), "low": np.float32(-1e9)}
    constants |= {"axes": np.int64([1, 2]), "less": np.float32([-np.inf])}
    nodes: list[Node] = [
        ("Gather", ["t", "x"], {}),
        ("Reshape", ["v0", "heads"], {}),
        ("Transpose", ["v1"], {"perm": [0, 2, 1, 3]}),
        ("Transpose", ["v1"], {"perm": [0, 2, 3, 1]}),
        ("MatMul", ["v2", "v3"], {}),
        ("Unsqueeze", ["x", "axes"], {}),
        ("Equal", ["v5", "none"], {}),
        ("Where", ["v6", "low", "v4"], {}),
        ("Where", ["v6", "less", "v7"], {}),
    ]
    proto = model(nodes, x, constants)
    assert sum(isinstance(op, Convert) for op in operations(proto).operations) == 1
    np.testing.assert_allclose(run(proto, x), reference(proto, x), rtol=1e-5, atol=1e-5)


def test_views_and_comparisons_cost_nothing() -> None:
    x = np.ones((3, 8), np.int64)
    nodes: list[Node] = [
        ("Greater", ["x", "none"], {}),
        ("Reshape", ["v0", "sizes"], {}),
        ("Cast", ["v1"], {"to": TensorProto.FLOAT}),
    ]
    found = operations(model(nodes, x, {"none": np.int64(0), "sizes": np.int64([2, 3, 4])}))
    assert [type(op) for op in found.operations] == [Convert] and found.nodes == 3
    assert "x" not in found.shapes
    target = host_target()
    assert target is not None
    program = build(found, target)
    assert set(program.maps) == {"v2"} and program.integers == {"x": "int64"}
    assert "input x: 3×8 int64" in list(lowered_lines(found))
    assert any("sgt 0" in line for line in lowered_lines(found))
    assert list(layout_lines(program))


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_views_of_integers(data: st.DataObject) -> None:
    """Reshapes, transposes, parts and repetitions in any order, then a table or a cast: as ONNX Runtime has it."""
    dims: tuple[int, ...] = data.draw(st.sampled_from([(12,), (3, 8), (2, 3, 4), (2, 1, 3, 4)]))
    kind = data.draw(st.sampled_from(["int32", "int64"]))
    x = np.random.default_rng(4).integers(-6, 6, dims).astype(kind)
    nodes: list[Node] = []
    constants: dict[str, Array] = {"t": numbers(6, 18)}

    def constant(values: Sequence[int] | int) -> str:
        name = f"c{len(constants)}"
        constants[name] = np.asarray(values, np.int64)
        return name

    sizes, last = dims, "x"
    for _ in range(data.draw(st.integers(0, 4))):
        what = data.draw(st.sampled_from(["reshape", "transpose", "slice", "gather", "expand", "cast"]))
        axis = data.draw(st.integers(0, len(sizes) - 1)) if sizes else 0
        if what == "reshape":
            count = math.prod(sizes)
            first = data.draw(st.sampled_from([d for d in range(1, count + 1) if count % d == 0]))
            sizes = (first, 1, count // first)
            nodes.append(("Reshape", [last, constant(sizes)], {}))
        elif what == "transpose":
            order = data.draw(st.permutations(range(len(sizes))))
            sizes = tuple(sizes[o] for o in order)
            nodes.append(("Transpose", [last], {"perm": list(order)}))
        elif what == "slice" and sizes:
            start = data.draw(st.integers(0, sizes[axis] - 1))
            end, step = data.draw(st.integers(start + 1, sizes[axis])), data.draw(st.integers(1, 2))
            given = [constant([n]) for n in (start, end, axis, step)]
            nodes.append(("Slice", [last, *given], {}))
            sizes = (*sizes[:axis], len(range(start, end, step)), *sizes[axis + 1 :])
        elif what == "gather" and len(sizes) > 1:
            index = data.draw(st.integers(-sizes[axis], sizes[axis] - 1))
            nodes.append(("Gather", [last, constant(index)], {"axis": axis}))
            sizes = (*sizes[:axis], *sizes[axis + 1 :])
        elif what == "expand" and 1 in sizes:
            sizes = tuple(3 if s == 1 else s for s in sizes)
            nodes.append(("Expand", [last, constant(sizes)], {}))
        elif what == "cast":
            nodes.append(("Cast", [last], {"to": data.draw(st.sampled_from([TensorProto.INT32, TensorProto.INT64]))}))
        last = f"v{len(nodes) - 1}" if nodes else "x"
    if data.draw(st.booleans()) and len(sizes) < 4:
        nodes.append(("Gather", ["t", last], {}))
    else:
        nodes.append(("Cast", [last], {"to": TensorProto.FLOAT}))
    proto = model(nodes, x, constants)
    target = TARGETS[data.draw(st.sampled_from(list(TARGETS)))]
    if refusal(proto):
        assert "moved about" in refusal(proto)
        return
    np.testing.assert_array_equal(run(proto, x, target, data.draw(st.integers(1, 2))), reference(proto, x))


def test_what_is_left_to_others_is_said() -> None:
    x = np.arange(6).reshape(2, 3)
    constants = {"t": numbers(6, 4), "deep": numbers(6, 4, 2), "two": np.int64(2), "other": np.arange(6).reshape(2, 3)}
    constants["sizes"] = np.int64([2, 3])
    cases: dict[str, list[Node]] = {
        "no kernel for it on integers": [("Add", ["x", "two"], {}), ("Cast", ["v0"], {"to": TensorProto.FLOAT})],
        "with one number": [("Equal", ["x", "other"], {}), ("Cast", ["v0"], {"to": TensorProto.FLOAT})],
        "two dimensions": [("Gather", ["deep", "x"], {})],
        "moved about": [
            ("Transpose", ["x"], {"perm": [1, 0]}),
            ("Reshape", ["v0", "sizes"], {}),
            ("Cast", ["v1"], {"to": TensorProto.FLOAT}),
        ],
        "type that there are no kernels": [
            ("Cast", ["x"], {"to": TensorProto.INT8}),
            ("Cast", ["v0"], {"to": TensorProto.FLOAT}),
        ],
    }
    for reason, nodes in cases.items():
        assert reason in refusal(model(nodes, x, constants)), reason
    along = model([("Gather", ["t", "x"], {"axis": 1})], x % 4, constants)
    assert "two dimensions" in refusal(along)


def test_integers_that_must_be_known_are_not_read() -> None:
    """Axes that only the caller knows must not be taken for axes that nobody gave."""
    sums = helper.make_node("ReduceSum", ["f", "x"], ["y"], name="sums", keepdims=1)
    infos = [
        helper.make_tensor_value_info("f", TensorProto.FLOAT, [2, 3]),
        helper.make_tensor_value_info("x", TensorProto.INT64, [1]),
    ]
    graph = helper.make_graph([sums], "sums", infos, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [2, 1])])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    assert "must be known" in refusal(proto)


def test_code_for_arm() -> None:
    """It is written, and turned into an object, wherever that is done."""
    target = target_for("neon")
    x = np.ones((2, 5), np.int32)
    nodes: list[Node] = [
        ("Gather", ["t", "x"], {}),
        ("Greater", ["x", "none"], {}),
        ("Unsqueeze", ["v1", "axes"], {}),
        ("Cast", ["v2"], {"to": TensorProto.FLOAT}),
        ("Mul", ["v0", "v3"], {}),
    ]
    found = operations(model(nodes, x, {"t": numbers(7, 18), "none": np.int32(0), "axes": np.int64([2])}))
    program = build(found, target)
    text = program.text(program.pack()[1])
    assert emit_object(text, "aarch64-unknown-linux-gnu", target.features)[:4] == b"\x7fELF"
