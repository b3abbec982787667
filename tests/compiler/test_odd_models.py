"""Names that mean something to us, aliases, empty parts and other graphs that are legal and odd."""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from rooftune.compiler.lower import lower
from rooftune.compiler.target import host_target
from rooftune.execute.backend import Candidate
from rooftune.execute.backends.native import BACKEND, NativeModel
from rooftune.execute.backends.onnxruntime import reference_candidate
from rooftune.execute.worker import Worker
from rooftune.graph.load import load_proto
from rooftune.verdicts import Refusal
from tests.compiler.running import TARGETS, program, run

pytestmark = pytest.mark.skipif(host_target() is None, reason="no kernels for this processor")


def model(
    nodes: list[onnx.NodeProto],
    inputs: dict[str, list[int]],
    outputs: dict[str, list[int]],
    weights: dict[str, np.ndarray],
) -> onnx.ModelProto:
    def infos(of: dict[str, list[int]]) -> list[onnx.ValueInfoProto]:
        return [helper.make_tensor_value_info(n, TensorProto.FLOAT, s) for n, s in of.items()]

    given = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "odd", infos(inputs), infos(outputs), given)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def agrees(proto: onnx.ModelProto, folder: Path) -> None:
    """The compiled model gives what ONNX Runtime gives."""
    path = folder / "model.onnx"
    onnx.save(proto, path)
    compiled = BACKEND.load(path, Candidate("native", {"winograd": True}, 2))
    assert isinstance(compiled, NativeModel)
    feed = {name: numbers(*spec.shape, seed=7) for name, spec in compiled.inputs.items()}
    found = compiled.run(feed)
    compiled.close()
    with Worker(reference_candidate(), path) as worker:
        for name, expected in worker.run(feed).items():
            np.testing.assert_allclose(found[name], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["input:0", "scratch", "weights:w", "output:y", "a\n}", 'q"uote', "%0"])
def test_any_name_is_only_a_name(name: str, tmp_path: Path) -> None:
    middle, end = f"{name} middle", f"{name} end"
    nodes = [
        helper.make_node("Conv", [name, "w"], [middle], name=f"conv {name}", pads=[1, 1, 1, 1]),
        helper.make_node("MaxPool", [middle], [end], name=f"{name}\nret void", kernel_shape=[2, 2], strides=[2, 2]),
    ]
    agrees(model(nodes, {name: [1, 3, 6, 6]}, {end: [1, 4, 3, 3]}, {"w": numbers(4, 3, 3, 3)}), tmp_path)


def test_a_value_that_is_read_under_another_shape_too_keeps_what_it_was(tmp_path: Path) -> None:
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"], name="conv"),
        helper.make_node("Flatten", ["c"], ["f"], name="flatten"),
        helper.make_node("Relu", ["f"], ["r"], name="relu"),
        helper.make_node("Add", ["c", "x"], ["s"], name="sum"),
    ]
    proto = model(nodes, {"x": [2, 5, 1, 1]}, {"r": [2, 5], "s": [2, 5, 1, 1]}, {"w": numbers(5, 5, 1, 1)})
    agrees(proto, tmp_path)


def test_a_column_of_biases_is_no_row_of_them() -> None:
    nodes = [helper.make_node("Gemm", ["x", "w", "b"], ["y"], name="product")]
    proto = model(nodes, {"x": [4, 3]}, {"y": [4, 4]}, {"w": numbers(3, 4), "b": numbers(4, 1)})
    found = lower(load_proto(proto))
    assert isinstance(found, Refusal) and "bias" in str(found)


def test_rows_become_columns(tmp_path: Path) -> None:
    weights = {"t": np.int64([1, 3, 6, 1]), "w": numbers(2, 3, 2, 1)}
    nodes = [
        helper.make_node("MaxPool", ["x"], ["p"], name="pool", kernel_shape=[1, 1]),
        helper.make_node("Reshape", ["p", "t"], ["r"], name="turn"),
        helper.make_node("Conv", ["r", "w"], ["y"], name="conv"),
    ]
    agrees(model(nodes, {"x": [1, 3, 1, 6]}, {"y": [1, 2, 5, 1]}, weights), tmp_path)


def test_parts_without_channels_are_refused() -> None:
    weights = {"sizes": np.int64([0, 4])}
    nodes = [helper.make_node("Split", ["x", "sizes"], ["none", "all"], name="split", axis=1)]
    found = lower(load_proto(model(nodes, {"x": [1, 4, 3, 3]}, {"none": [1, 0, 3, 3], "all": [1, 4, 3, 3]}, weights)))
    assert isinstance(found, Refusal)


def test_a_model_nobody_closed_ends_its_threads(tmp_path: Path) -> None:
    nodes = [helper.make_node("MaxPool", ["x"], ["y"], name="pool", kernel_shape=[2, 2])]
    path = tmp_path / "model.onnx"
    onnx.save(model(nodes, {"x": [1, 4, 8, 8]}, {"y": [1, 4, 7, 7]}, {}), path)
    for _ in range(20):
        compiled = BACKEND.load(path, Candidate("native", {"winograd": True}, 2))
        assert isinstance(compiled, NativeModel)
        compiled.run({"x": numbers(1, 4, 8, 8)})
        threads = compiled._program._workers
        del compiled
        gc.collect()
        assert not any(thread.is_alive() for thread in threads)


@pytest.mark.parametrize("counted", [0, 1])
def test_windows_beyond_the_edge_count_what_is_there(counted: int, tmp_path: Path) -> None:
    node = helper.make_node(
        "AveragePool", ["x"], ["y"], name="pool", kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1,
        count_include_pad=counted,
    )  # fmt: skip
    proto = model([node], {"x": [1, 4, 6, 6]}, {"y": [1, 4, 3, 3]}, {})
    found = lower(load_proto(proto))
    if counted:  # engines do not agree what is counted there
        assert isinstance(found, Refusal) and "beyond the padding" in str(found)
    else:
        agrees(proto, tmp_path)


@pytest.mark.parametrize("images", [1, 3])
@pytest.mark.parametrize("kind", ["Gemm", "MatMul"])
def test_products_of_what_is_only_a_view_in_another_order(kind: str, images: int, tmp_path: Path) -> None:
    """Rows that are images in another order; columns that are channels in another order."""
    channels = [
        helper.make_node("Reshape", ["x", "apart"], ["a"]),
        helper.make_node("Transpose", ["a"], ["b"], perm=[0, 2, 1]),
        helper.make_node("Reshape", ["b", "flat"], ["c"]),
        helper.make_node(kind, ["c", "w"], ["y"]),
    ]
    sizes = {"apart": np.array([images, 4, 6]), "flat": np.array([images, 24])}
    agrees(model(channels, {"x": [images, 24]}, {"y": [images, 5]}, {"w": numbers(24, 5, seed=1), **sizes}), tmp_path)
    rows = [
        helper.make_node("Transpose", ["x"], ["a"], perm=[1, 0, 2, 3, 4]),
        helper.make_node("Reshape", ["a", "flat"], ["b"]),
        helper.make_node(kind, ["b", "w"], ["y"]),
    ]
    agrees(
        model(
            rows,
            {"x": [2, 3, images, 1, 8]},
            {"y": [6 * images, 5]},
            {"w": numbers(8, 5, seed=1), "flat": np.array([6 * images, 8])},
        ),
        tmp_path,
    )


@pytest.mark.parametrize("order", [["y", "y", "z"], ["z", "y", "y"], ["y", "z", "y"]])
def test_outputs_may_be_listed_twice(order: list[str], tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Conv", ["y", "w"], ["z"])]
    proto = model(nodes, {"x": [1, 4, 5, 5]}, {"y": [1, 4, 5, 5], "z": [1, 4, 5, 5]}, {"w": numbers(4, 4, 1, 1)})
    infos = {info.name: info for info in proto.graph.output}
    del proto.graph.output[:]
    proto.graph.output.extend(infos[name] for name in order)
    agrees(proto, tmp_path)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_windows_that_begin_beyond_the_input_are_left_out(kind: str, tmp_path: Path) -> None:
    """Sizes are inferred with such windows; engines leave them out."""
    pool = helper.make_node(kind, ["x"], ["a"], kernel_shape=[2, 2], strides=[4, 4], ceil_mode=1)
    proto = model([pool, helper.make_node("Relu", ["a"], ["y"])], {"x": [1, 4, 9, 12]}, {}, {})
    proto.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    path = tmp_path / "model.onnx"
    for size in (9, 10, 11, 12, 13):
        proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = size
        onnx.save(proto, path)
        compiled = BACKEND.load(path, Candidate("native", {"winograd": True}, 1))
        feed = {"x": numbers(1, 4, size, 12)}
        found = compiled.run(feed)["y"]
        compiled.close()
        with Worker(reference_candidate(), path) as worker:
            expected = worker.run(feed)["y"]
        assert found.shape == expected.shape
        np.testing.assert_allclose(found, expected, rtol=1e-6)


@pytest.mark.parametrize("pads", [(0, 0, 2, -1, 0, 0, -1, 3), (0, 0, -2, 0, 0, 0, 2, 0), (0, 0, -1, -1, 0, 0, -1, 0)])
@pytest.mark.parametrize("mode", ["wrap", "edge", "reflect", "constant"])
def test_what_pads_and_cuts_is_right_or_left_to_others(mode: str, pads: tuple[int, ...], tmp_path: Path) -> None:
    node = helper.make_node("Pad", ["x", "pads"], ["y"], mode=mode)
    proto = model([node], {"x": [1, 4, 7, 8]}, {}, {"pads": np.array(pads)})
    proto.opset_import[0].version = 19
    proto.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    path = tmp_path / "model.onnx"
    onnx.save(proto, path)
    compiled = BACKEND.load(path, Candidate("native", {"winograd": True}, 1))
    feed = {"x": numbers(1, 4, 7, 8)}
    found = compiled.run(feed)["y"]
    compiled.close()
    with Worker(reference_candidate(), path) as worker:
        np.testing.assert_array_equal(found, worker.run(feed)["y"])


def test_names_that_the_compiler_would_invent(tmp_path: Path) -> None:
    """Weights and maps of its own must not take the place of the model's."""
    norm = {"scale": numbers(4, seed=1), "shift": numbers(4, seed=2), "mean": numbers(4, seed=3)}
    weights = {
        **norm,
        "variance": np.abs(numbers(4, seed=4)) + 1,
        "matrix": numbers(4, 3, seed=5),
        "bn scale": numbers(4, 4, 1, 1, seed=6),
        "bn shift": numbers(4, seed=7),
        "mm weight": numbers(4, 4, 1, 1, seed=8),
    }
    nodes = [
        helper.make_node("Conv", ["x", "bn scale", "bn shift"], ["a"]),
        helper.make_node("BatchNormalization", ["a", "scale", "shift", "mean", "variance"], ["bn"]),
        helper.make_node("MatMul", ["x", "matrix"], ["mm"]),
        helper.make_node("Conv", ["x", "mm weight", "bn shift"], ["y"]),
        helper.make_node("Relu", ["bn"], ["z"]),
    ]
    outputs = {"y": [2, 4, 5, 4], "z": [2, 4, 5, 4], "mm": [2, 4, 5, 3]}
    agrees(model(nodes, {"x": [2, 4, 5, 4]}, outputs, weights), tmp_path)


@pytest.mark.parametrize("first", [True, False])
def test_values_that_are_called_like_copies(first: bool, tmp_path: Path) -> None:
    odd = ["x copy", "x copy 0", "x copy 1"]
    relus = [helper.make_node("Relu", ["x"], [name]) for name in odd]
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], perm=[0, 1, 3, 2]),
        helper.make_node("Conv", ["t", "w"], ["y"]),
    ]
    pools = [helper.make_node("MaxPool", [name], [f"p{i}"], kernel_shape=[2, 2]) for i, name in enumerate(odd)]
    outputs = {"y": [1, 4, 6, 5], **{f"p{i}": [1, 4, 4, 5] for i in range(3)}}
    order = [*relus, *nodes, *pools] if first else [*nodes, *relus, *pools]
    agrees(model(order, {"x": [1, 4, 5, 6]}, outputs, {"w": numbers(4, 4, 1, 1)}), tmp_path)


def as_elsewhere(proto: onnx.ModelProto, folder: Path) -> None:
    """Whatever runs the model, sizes and numbers are those of ONNX Runtime."""
    path = folder / "model.onnx"
    onnx.save(proto, path)
    compiled = BACKEND.load(path, Candidate("native", {"winograd": True}, 1))
    feed = {name: numbers(*spec.shape, seed=7) for name, spec in compiled.inputs.items()}
    found = compiled.run(feed)
    compiled.close()
    with Worker(reference_candidate(), path) as worker:
        for name, expected in worker.run(feed).items():
            assert found[name].shape == expected.shape
            np.testing.assert_allclose(found[name], expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("size", "scale"), [(10, 0.7), (20, 0.6), (30, 0.1), (9, 1.2), (7, 1.4), (10, 1.1), (6, 2.0)])
def test_sizes_that_are_rounded_otherwise_in_fp32(size: int, scale: float, tmp_path: Path) -> None:
    """0.7 in fp32 is a little less than seven tenths: ONNX infers six of ten, engines make seven."""
    nodes = [
        helper.make_node("Resize", ["x", "", "s"], ["a"], mode="nearest"),
        helper.make_node("Relu", ["a"], ["y"]),
    ]
    proto = model(nodes, {"x": [1, 4, 4, size]}, {}, {"s": np.float32([1, 1, 1, scale])})
    proto.graph.output.append(helper.make_tensor_value_info("y", TensorProto.FLOAT, None))
    as_elsewhere(proto, tmp_path)


@pytest.mark.parametrize("kind", ["MaxPool", "AveragePool"])
def test_same_pools_whose_steps_are_longer_than_their_windows_are_refused(kind: str) -> None:
    """Their padding would be negative: ONNX takes it for none, ONNX Runtime for a mistake."""
    pool = helper.make_node(kind, ["x"], ["y"], kernel_shape=[1, 2], strides=[3, 3], auto_pad="SAME_UPPER")
    found = lower(load_proto(model([pool], {"x": [1, 4, 8, 10]}, {"y": [1, 4, 3, 4]}, {})))
    assert isinstance(found, Refusal) and "steps" in str(found)


def test_an_input_that_is_an_output_too_keeps_its_size(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", ["x"], ["y"])]
    agrees(model(nodes, {"x": [1, 4, 5, 5]}, {"x": [1, 4, 5, 5], "y": [1, 4, 5, 5]}, {}), tmp_path)


@pytest.mark.parametrize("opset", [18, 21])
def test_group_normalization_that_nothing_is_declared_of(opset: int, tmp_path: Path) -> None:
    """onnx infers nothing for it, neither size nor type."""
    count = 6 if opset == 21 else 3
    nodes = [
        helper.make_node("GroupNormalization", ["x", "s", "b"], ["m"], num_groups=3),
        helper.make_node("Relu", ["m"], ["y"]),
    ]
    weights = {"s": numbers(count, seed=1), "b": numbers(count, seed=2)}
    proto = model(nodes, {"x": [2, 6, 5, 7]}, {"y": [2, 6, 5, 7]}, weights)
    proto.opset_import[0].version, proto.ir_version = opset, 10
    agrees(proto, tmp_path)


@pytest.mark.parametrize(
    ("kind", "inputs", "weights", "attributes", "output"),
    [
        ("MatMul", [4, 17], [16, 16], {}, [4, 16]),
        ("Gemm", [4, 17], [16, 16], {}, [4, 16]),
        ("Conv", [1, 8, 9, 9], [4, 3, 3, 3], {}, [1, 4, 7, 7]),
        ("Conv", [1, 3, 9, 9], [4, 3, 3, 3], {}, [1, 4, 70, 70]),
        ("Conv", [1, 3, 9, 9], [4, 3, 3, 3], {"pads": [1, 1, 1]}, [1, 4, 700, 700]),
        ("ConvTranspose", [1, 3, 9, 9], [4, 3, 3, 3], {}, [1, 3, 11, 11]),
        ("Add", [4, 5], [4, 6], {}, [4, 6]),
        ("Concat", [1, 4, 5], [1, 4, 6], {"axis": 1}, [1, 8, 6]),
    ],
)
def test_sizes_that_contradict_each_other_are_not_trusted(
    kind: str,
    inputs: list[int],
    weights: list[int],
    attributes: dict[str, object],
    output: list[int],
) -> None:
    """onnx's inference passes over nodes it does not understand, and what the file declares is all that is left."""
    node = helper.make_node(kind, ["x", "w"], ["m"], **attributes)
    proto = model(
        [node, helper.make_node("Relu", ["m"], ["y"])], {"x": inputs}, {"y": output}, {"w": numbers(*weights)}
    )
    proto.graph.value_info.append(helper.make_tensor_value_info("m", TensorProto.FLOAT, output))
    found = load_proto(proto)
    lowered = lower(found)
    if isinstance(lowered, Refusal):
        return
    # what was inferred took the place of what was declared
    said = {v.name: list(v.shape or ()) for n in found.ir.graph for v in n.outputs}
    x = numbers(*inputs)
    assert list(run(program(lowered, TARGETS[min(TARGETS)]), {"x": x}).shape) == said["y"] != output


def test_parts_that_nobody_wants_have_sizes_all_the_same() -> None:
    node = helper.make_node("Split", ["x", "sizes"], ["", "y"], axis=1)
    proto = model([node], {"x": [1, 6, 3, 3]}, {"y": [1, 4, 3, 3]}, {"sizes": np.int64([2, 4])})
    x = numbers(1, 6, 3, 3)
    found = lower(load_proto(proto))
    assert not isinstance(found, Refusal)
    np.testing.assert_array_equal(run(program(found, TARGETS[min(TARGETS)]), {"x": x}), x[:, 2:])


def test_a_model_in_memory_stays_as_it_is() -> None:
    proto = model([helper.make_node("Relu", ["x"], ["y"])], {"x": [1, 4]}, {"y": [1, 4]}, {})
    before = proto.SerializeToString(deterministic=True)
    load_proto(proto)
    assert proto.SerializeToString(deterministic=True) == before
