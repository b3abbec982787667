"""The light view of a graph and the graph of onnx_ir say the same: every figure, every kernel, every warning."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rooftune import zoo
from rooftune.analysis.analyze import Analysis, analyze
from rooftune.graph.load import load, load_proto
from rooftune.graph.model import Model
from rooftune.machine.devices import find_machine

from ..pipeline.test_backend_suite import LEAST, suite

MACHINE = find_machine("intel-xeon-platinum-8480plus")
LEAST_FLAT = {"node": 1200, "simple": 3, "pytorch-converted": 80, "pytorch-operator": 30, "light": 9}
"""How many models have the light view at least: where none has, nothing is compared."""


def analysed_both_ways(loaded: Callable[[], Model]) -> tuple[Analysis, Analysis] | None:
    """The analysis by the light view and by the graph of onnx_ir; None where the model has no light view."""
    light, full = loaded(), loaded()
    assert light.warnings == full.warnings
    if light.flat is None:
        return None
    assert full.ir.graph is not None
    assert full.flat is None
    answers = analyze(light, MACHINE), analyze(full, MACHINE)
    assert "ir" not in vars(light), "the analysis built the graph after all"
    return answers


def differences(name: str, answers: tuple[Analysis, Analysis]) -> list[str]:
    light, full = answers
    found = [] if light == full else [f"{name}: the analyses differ"]
    return found if light.kernels == full.kernels else [*found, f"{name}: the kernels differ"]


@pytest.mark.parametrize("kind", LEAST)
def test_the_backend_suite_both_ways(kind: str) -> None:
    wrong: list[str] = []
    compared = 0
    for name, loaded in suite(kind):
        answers = analysed_both_ways(loaded)
        if answers is not None:
            compared += 1
            wrong += differences(name, answers)
    assert not wrong, "\n".join(wrong)
    assert compared >= LEAST_FLAT[kind], compared


@pytest.mark.parametrize("network", ["mobilenet_v2", "densenet121", "swin_tiny"])
def test_exports_both_ways(network: str, tmp_path: Path) -> None:
    path = zoo.export(network, tmp_path / "model.onnx")
    answers = analysed_both_ways(partial(load, path))
    assert answers is not None
    assert not differences(network, answers)


def proto(
    nodes: list[onnx.NodeProto],
    weights: dict[str, np.ndarray],
    *,
    shape: tuple[int | str, ...] = (4, 6),
    said: dict[str, tuple[int, ...]] | None = None,
) -> onnx.ModelProto:
    """A model from `x` to `y` with these nodes and weights; `said` are shapes that it declares."""
    declared = [helper.make_tensor_value_info(name, TensorProto.FLOAT, dims) for name, dims in (said or {}).items()]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(array, name) for name, array in weights.items()],
        value_info=declared,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def relu() -> onnx.ModelProto:
    return proto([helper.make_node("Relu", ["x"], ["y"], "only")], {})


def test_an_edited_graph_is_what_is_analysed() -> None:
    model = load_proto(relu())
    before = analyze(model, MACHINE)
    assert model.flat is not None
    (node,) = model.ir.graph
    node.name = "renamed"
    assert model.flat is None
    assert [n.name for n in before.nodes] == ["only"]
    assert [n.name for n in analyze(model, MACHINE).nodes] == ["renamed"]


def test_the_graph_is_built_once_and_complete() -> None:
    model = load_proto(relu())
    assert model.ir is model.ir
    assert str(model.outputs["y"]) == "float32[4,6]"


def test_a_wrong_declaration_warns_both_ways() -> None:
    chain = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    light = load_proto(proto(chain, {}, said={"a": (4, 7)}))
    open_one = load_proto(proto(chain, {}, said={"a": (4, 7)}, shape=("N", 6)))
    assert light.flat is not None
    assert open_one.flat is None
    assert light.warnings == ("a declared shape is wrong: a is said to be [4, 7] and is [4, 6]",)
    assert open_one.warnings == ("a declared shape is wrong: a is said to be [4, 7] and is [N, 6]",)


def test_shared_regions_count_once_both_ways(tmp_path: Path) -> None:
    weight = np.ones((6, 6, 8), np.float32)[:, :, 0]
    product = [helper.make_node("MatMul", ["x", "v"], ["a"]), helper.make_node("MatMul", ["a", "w"], ["y"])]
    model = proto(product, {"v": np.ones((6, 6), np.float32), "w": weight})
    (tmp_path / "data").write_bytes(bytes(4096))
    for tensor in model.graph.initializer:
        tensor.dims[:] = (6, 64) if tensor.name == "v" else (64, 6)
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, text in (("location", "data"), ("offset", "0"), ("length", str(4 * 6 * 64))):
            tensor.external_data.add(key=key, value=text)
    path = tmp_path / "model.onnx"
    path.write_bytes(model.SerializeToString())
    answers = analysed_both_ways(partial(load, path))
    assert answers is not None
    assert not differences("shared", answers)
    assert answers[0].totals.params == 6 * 64


def split(sizes: list[str], weights: dict[str, np.ndarray]) -> onnx.ModelProto:
    cast = helper.make_node("Cast", ["sizes"], ["cast"], to=TensorProto.INT64)
    node = helper.make_node("Split", ["x", *sizes], ["y", "z"], axis=1)
    return proto([cast, node, helper.make_node("Relu", ["z"], ["r"])], weights)


@pytest.mark.parametrize(
    ("model", "why"),
    [
        (proto([helper.make_node("Relu", ["x"], ["y"])], {}, shape=("N", 3)), "an open dimension"),
        (split(["cast"], {"sizes": np.array([2, 4], np.int32)}), "sizes that are computed"),
        (proto([helper.make_node("Identity", ["x"], ["a"])], {"y": np.ones(3, np.float32)}), "a weight as output"),
    ],
    ids=lambda found: found if isinstance(found, str) else "",
)
def test_no_light_view(model: onnx.ModelProto, why: str) -> None:
    assert load_proto(model).flat is None, why


def test_a_split_by_a_constant_has_the_light_view() -> None:
    model = split(["sizes"], {"sizes": np.array([2, 4], np.int64)})
    del model.graph.node[0]
    answers = analysed_both_ways(lambda: load_proto(onnx.ModelProto.FromString(model.SerializeToString())))
    assert answers is not None
    assert not differences("split", answers)


def test_bytes_that_are_no_text_are_left_to_the_library() -> None:
    node = helper.make_node("Cast", ["x"], ["y"], to=TensorProto.FLOAT)
    content = proto([node], {}).SerializeToString()
    strange = helper.make_attribute("note", "")
    strange.s = b"\xff\xfe"
    odd = onnx.ModelProto.FromString(content)
    odd.graph.node[0].attribute.append(strange)
    assert load_proto(odd).flat is None
