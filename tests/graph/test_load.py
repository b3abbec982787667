"""Loading touches no weights, and the weights are right when they are asked for."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from models import INT64, convolution, model, saved, value, weight
from rooftune.graph.constants import constant_of, is_constant
from rooftune.graph.file_tensor import FileTensor, VarintTensor
from rooftune.graph.load import load


def one_constant(tensor: onnx.TensorProto, how: str = "initialiser") -> onnx.ModelProto:
    if how == "initialiser":
        nodes, constants = [helper.make_node("Identity", ["c"], ["y"])], [tensor]
    else:
        nodes, constants = [helper.make_node("Constant", [], ["c"], value=tensor)], []
        nodes.append(helper.make_node("Identity", ["c"], ["y"]))
    return model(nodes, [], [value("y", None, tensor.data_type)], constants, opset=25)


KINDS = [
    TensorProto.FLOAT,
    TensorProto.DOUBLE,
    TensorProto.INT64,
    TensorProto.INT32,
    TensorProto.INT8,
    TensorProto.UINT8,
    TensorProto.INT16,
    TensorProto.UINT16,
    TensorProto.UINT32,
    TensorProto.UINT64,
    TensorProto.BOOL,
    TensorProto.FLOAT16,
    TensorProto.BFLOAT16,
    TensorProto.FLOAT8E4M3FN,
    TensorProto.INT4,
    TensorProto.UINT4,
    TensorProto.COMPLEX64,
]


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("how", ["initialiser", "attribute"])
@pytest.mark.parametrize("kind", KINDS)
def test_values_of_large_tensors(tmp_path: Path, kind: int, raw: bool, how: str) -> None:
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    numbers = np.random.default_rng(0).integers(0, 8, (3, 1025)).astype(np.float32).astype(dtype)
    if np.dtype(dtype).kind == "i" and np.dtype(dtype).itemsize > 1:
        numbers = -numbers
    tensor = numpy_helper.from_array(numbers, "c")
    if not raw:
        tensor = helper.make_tensor("c", kind, numbers.shape, numbers.ravel())
    found = load(saved(one_constant(tensor, how), tmp_path))
    source = next(iter(found.nodes)).inputs[0] if how == "initialiser" else next(iter(found.nodes)).outputs[0]
    kept = source.const_value if how == "initialiser" else next(iter(found.nodes)).attributes["value"].value
    assert isinstance(kept, FileTensor), "the payload stays in the file"
    assert isinstance(kept, VarintTensor) == (not raw and kind not in (1, 11, 14, 15))
    expected = numpy_helper.to_array(tensor)
    np.testing.assert_array_equal(kept.numpy().astype(np.complex128), expected.astype(np.complex128))
    assert kept.tobytes() == numpy_helper.from_array(expected).raw_data
    assert is_constant(source)
    assert constant_of(source, 100) is None


def test_external_data(tmp_path: Path) -> None:
    proto = convolution()
    wanted = numpy_helper.to_array(proto.graph.initializer[0])
    path = tmp_path / "m.onnx"
    onnx.save(proto, path, save_as_external_data=True, location="w.data", size_threshold=0)
    found = load(path)
    kept = found.graph.initializers["w"].const_value
    assert isinstance(kept, FileTensor)
    assert kept.external
    assert found.data_files == ("w.data",)
    np.testing.assert_array_equal(kept.numpy(), wanted)
    assert str(found.outputs["y"]) == "float32[N,10]", "small constants in the data file steer shapes too"


def test_inside_subgraphs_and_functions(tmp_path: Path) -> None:
    tensor = weight("c", (40, 40))
    inner = helper.make_graph(
        [helper.make_node("Add", ["x", "k"], ["o"])], "t", [], [value("o", None)], [weight("k", (40, 40))]
    )
    other = helper.make_graph([helper.make_node("Neg", ["x"], ["o"])], "e", [], [value("o", None)])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    body = [helper.make_node("Constant", [], ["k"], value=tensor), helper.make_node("Add", ["a", "k"], ["b"])]
    nodes = [
        helper.make_node("If", ["c"], ["z"], then_branch=inner, else_branch=other),
        helper.make_node("F", ["z"], ["y"], domain="own"),
    ]
    proto = model(nodes, [value("x", [40, 40]), value("c", [], TensorProto.BOOL)], [value("y", None)])
    proto.opset_import.append(imports[1])
    proto.functions.append(helper.make_function("own", "F", ["a"], ["b"], body, imports))
    found = load(saved(proto, tmp_path))
    branch = next(iter(found.nodes)).attributes["then_branch"].as_graph()
    assert isinstance(branch.initializers["k"].const_value, FileTensor)
    function = next(iter(found.ir.functions.values()))
    kept = function[0].attributes["value"].value
    assert isinstance(kept, FileTensor)
    np.testing.assert_array_equal(kept.numpy(), numpy_helper.to_array(tensor))
    assert str(found.outputs["y"]) == "float32[40,40]"


def test_sparse_initialiser(tmp_path: Path) -> None:
    proto = model([helper.make_node("Add", ["x", "s"], ["y"])], [value("x", [3, 4])], [value("y", None)])
    values = helper.make_tensor("s", TensorProto.FLOAT, [2], [5.0, 7.0])
    places = helper.make_tensor("i", INT64, [2], [1, 11])
    proto.graph.sparse_initializer.append(helper.make_sparse_tensor(values, places, [3, 4]))
    found = load(saved(proto, tmp_path))
    dense = np.zeros((3, 4), np.float32)
    dense[0, 1], dense[2, 3] = 5, 7
    np.testing.assert_array_equal(found.graph.initializers["s"].const_value.numpy(), dense)


def test_time_and_memory_do_not_follow_the_weights(tmp_path: Path) -> None:
    """A sparse file of 3 GB with one inline tensor loads at once."""
    size = 3 << 30
    tensor = TensorProto(name="c", data_type=TensorProto.UINT8, dims=[size])
    head = tensor.SerializeToString() + b"\x4a" + varint(size)
    small = one_constant(helper.make_tensor("c", TensorProto.UINT8, [1], [1]))
    del small.graph.initializer[:]
    graph = small.graph.SerializeToString()
    initialiser = b"\x2a" + varint(len(head) + size) + head
    rest = onnx.ModelProto(ir_version=10, opset_import=small.opset_import).SerializeToString()
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.write(rest + b"\x3a" + varint(len(graph) + len(initialiser) + size) + graph + initialiser)
        file.truncate(file.tell() + size)
    start = time.perf_counter()
    found = load(path)
    assert time.perf_counter() - start < 0.5
    assert str(found.outputs["y"]) == f"uint8[{size}]"
    path.unlink()


def varint(number: int) -> bytes:
    out = b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def test_ten_thousand_nodes(tmp_path: Path) -> None:
    nodes = [helper.make_node("Relu", [f"v{i}"], [f"v{i + 1}"]) for i in range(10_000)]
    path = saved(model(nodes, [value("v0", ["N", 64])], [value("v10000", None)]), tmp_path)
    start = time.perf_counter()
    found = load(path)
    assert time.perf_counter() - start < 4  # 0.6 s on a quiet core
    assert str(found.outputs["v10000"]) == "float32[N,64]"


def test_bindings(tmp_path: Path) -> None:
    path = saved(convolution("N", None), tmp_path)
    assert load(path).open_dimensions == ("N", "x_d2", "x_d3")
    found = load(path, batch=4)
    assert found.bindings == {"N": 4}
    assert str(found.outputs["y"]) == "float32[4,10]"
    found = load(path, shapes={"x": [2, 3, 32, "wide"]})
    assert found.bindings == {"N": 2, "x_d2": 32}
