"""Files that are no valid models: one-line cause and remedy, nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper

from models import FLOAT, convolution, ints, model, saved, value, weight
from rooftune.errors import InputError
from rooftune.graph.load import load


def refused(path: Path, words: str, **options: object) -> None:
    with pytest.raises(InputError, match=words) as caught:
        load(path, **options)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)
    assert caught.value.remedy


def test_no_file(tmp_path: Path) -> None:
    refused(tmp_path / "none.onnx", "no such file")
    refused(tmp_path, "is a folder")


@pytest.mark.parametrize("content", [b"", b"hello world, no model here", b"\x89PNG\r\n\x1a\n" + bytes(200)])
def test_not_a_model(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(content)
    refused(path, "empty|not")


def test_other_protobuf(tmp_path: Path) -> None:
    path = tmp_path / "t.pb"
    path.write_bytes(weight("w", (4, 4)).SerializeToString())
    refused(path, "no graph|not")
    path.write_bytes(onnx.ModelProto(ir_version=8).SerializeToString())
    refused(path, "no graph")


def test_truncated(tmp_path: Path) -> None:
    whole = convolution().SerializeToString()
    path = tmp_path / "m.onnx"
    for keep in (len(whole) - 1, len(whole) // 2, 100):
        path.write_bytes(whole[:keep])
        refused(path, "not a complete ONNX file|not an ONNX model|no graph|declares")


def one(operator: str, opset: int = 17, outputs: int = 1, **attributes: object) -> onnx.ModelProto:
    node = helper.make_node(operator, ["x"], [f"y{i}" for i in range(outputs)], name="here", **attributes)
    return model([node], [value("x", [2, 3])], [value("y0", None)], opset=opset)


@pytest.mark.parametrize(("operator", "opset"), [("Gelu", 17), ("Mish", 17), ("Nonsense", 17), ("Upsample", 11)])
def test_operator_not_in_opset(tmp_path: Path, operator: str, opset: int) -> None:
    refused(saved(one(operator, opset), tmp_path), f"{operator} of node here is not in operator set {opset}")


def test_node_that_does_not_fit(tmp_path: Path) -> None:
    refused(saved(one("Conv"), tmp_path), "1 inputs where 2 to 3")
    refused(saved(one("Relu", outputs=2), tmp_path), "2 outputs where 1")
    refused(saved(one("Softmax", axis=1.5), tmp_path), "attribute axis of type float")
    refused(saved(one("Cast"), tmp_path), "lacks the attribute to")


def test_negative_dimensions(tmp_path: Path) -> None:
    proto = convolution()
    proto.graph.input[0].type.tensor_type.shape.dim[2].dim_value = -8
    refused(saved(proto, tmp_path), "negative dimension")
    proto = convolution()
    proto.graph.initializer[0].dims[0] = -16
    refused(saved(proto, tmp_path), "negative dimension")


@pytest.mark.parametrize("dims", [(17, 3, 3, 3), (1_000_000_000_000,), (1 << 40, 1 << 40, 1 << 40)])
def test_bytes_do_not_match(tmp_path: Path, dims: tuple[int, ...]) -> None:
    proto = convolution()
    del proto.graph.initializer[0].dims[:]
    proto.graph.initializer[0].dims.extend(dims)
    refused(saved(proto, tmp_path), "asks for|claims")


def test_typed_fields_do_not_match(tmp_path: Path) -> None:
    for fill in (5, 5000):
        proto = convolution()
        proto.graph.initializer[0].ClearField("raw_data")
        proto.graph.initializer[0].float_data.extend([1.0] * fill)
        refused(saved(proto, tmp_path), "asks for")


def external(folder: Path, location: str, offset: int = 0, length: int | None = None) -> Path:
    proto = convolution()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    entries = {"location": location, "offset": str(offset)} | ({} if length is None else {"length": str(length)})
    for key, text in entries.items():
        tensor.external_data.add(key=key, value=text)
    return saved(proto, folder)


def test_external_data_leaves_the_folder(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    outside = tmp_path / "secret.bin"
    outside.write_bytes(bytes(4000))
    (home / "link.bin").symlink_to(outside)
    (home / "folder").symlink_to(tmp_path)
    for location in ("../secret.bin", str(outside), "a/../../secret.bin", "link.bin", "folder/secret.bin", "..\\s"):
        refused(external(home, location), "leaves the model's folder|leads out")


def test_external_data_beyond_the_file(tmp_path: Path) -> None:
    (tmp_path / "w.bin").write_bytes(bytes(1728))
    assert load(external(tmp_path, "w.bin")).missing_data == ()
    refused(external(tmp_path, "w.bin", offset=4), "ends at byte 1732")
    refused(external(tmp_path, "w.bin", length=1000), "1000 bytes")
    refused(external(tmp_path, "w.bin", offset=-4), "offset '-4'")


def test_missing_external_data_is_a_warning(tmp_path: Path) -> None:
    found = load(external(tmp_path, "gone.bin"))
    assert found.missing_data == ("w",)
    assert "gone.bin" in found.warnings[0]
    assert str(found.outputs["y"]) == "float32[N,10]"
    with pytest.raises(InputError, match="missing"):
        found.graph.initializers["w"].const_value.numpy()


def relus(*pairs: tuple[str, str]) -> onnx.ModelProto:
    nodes = [helper.make_node("Relu", [a], [b], name=f"{a}{b}") for a, b in pairs]
    return model(nodes, [value("x", [2])], [value("y", None)])


def test_names(tmp_path: Path) -> None:
    refused(saved(relus(("x", "y"), ("x", "y")), tmp_path), "given twice")
    refused(saved(relus(("z", "y")), tmp_path), "reads 'z', which nothing produces")
    refused(saved(relus(("x", "z")), tmp_path), "output 'y'")
    refused(saved(relus(("x", "a"), ("y", "b"), ("b", "y")), tmp_path), "cycle")


def test_unsorted_nodes_are_sorted(tmp_path: Path) -> None:
    found = load(saved(relus(("b", "y"), ("x", "a"), ("a", "b")), tmp_path))
    assert [n.outputs[0].name for n in found.nodes] == ["a", "b", "y"]
    assert "sorted" in found.warnings[0]


def test_recursive_function(tmp_path: Path) -> None:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    body = [helper.make_node("F", ["a"], ["b"], domain="own")]
    proto = model([helper.make_node("F", ["x"], ["y"], domain="own")], [value("x", [2])], [value("y", None)])
    proto.opset_import.extend(imports[1:])
    proto.functions.append(helper.make_function("own", "F", ["a"], ["b"], body, imports))
    refused(saved(proto, tmp_path), "calls itself")


def test_functions_that_explode(tmp_path: Path) -> None:
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    proto = model([helper.make_node("F40", ["x"], ["y"], domain="own")], [value("x", [2])], [value("y", None)])
    proto.opset_import.extend(imports[1:])
    for i in range(41):
        inner, domain = (f"F{i - 1}", "own") if i else ("Relu", "")
        body = [helper.make_node(inner, [a], [b], domain=domain) for a, b in (("a", "c"), ("c", "b"))]
        proto.functions.append(helper.make_function("own", f"F{i}", ["a"], ["b"], body, imports))
    refused(saved(proto, tmp_path), "expand to")


def test_deep_nesting(tmp_path: Path) -> None:
    """Graphs in attributes of nodes of graphs, deeper than protobuf goes; built by hand, as protobuf refuses to."""
    graph = b"\x12" + length(bytes(2000)) + bytes(2000)  # a long name
    for _ in range(60):
        attribute = b"\x32" + length(graph) + graph
        node = b"\x2a" + length(attribute) + attribute
        graph = b"\x0a" + length(node) + node
    path = tmp_path / "m.onnx"
    path.write_bytes(b"\x08\x0a\x3a" + length(graph) + graph)
    refused(path, "nested more than")


def length(content: bytes) -> bytes:
    number, out = len(content), b""
    while number >= 0x80:
        out += bytes([number & 0x7F | 0x80])
        number >>= 7
    return out + bytes([number])


def test_names_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(relus(("x", "y")).SerializeToString().replace(b"Relu", b"Re\xff\xfe"))
    refused(path, "UTF-8")


def test_shapes_that_do_not_fit(tmp_path: Path) -> None:
    path = saved(convolution(), tmp_path)
    refused(path, "no input 'z'", shapes={"z": [1]})
    refused(path, "4 dimensions", shapes={"x": [1, 3]})
    refused(path, "fixed at 3, not 4", shapes={"x": [1, 4, 8, 8]})
    refused(path, "negative", shapes={"x": [-1, 3, 8, 8]})
    refused(path, "batch is 0", batch=0)
    refused(path, "both 2 and 3", shapes={"x": [2, 3, 8, 8]}, batch=3)
    refused(saved(convolution(batch=1), tmp_path), "no open batch", batch=8)


def test_legal_oddities(tmp_path: Path) -> None:
    own = helper.make_node("Mystery", ["x"], ["m"], domain="own.ops")
    proto = model([own, helper.make_node("Relu", ["m"], ["y"])], [value("x", [2, 0])], [value("y", None)])
    proto.opset_import.append(helper.make_opsetid("own.ops", 3))
    assert str(load(saved(proto, tmp_path)).outputs["y"]) == "float32[?]"
    scalar = model(
        [helper.make_node("Add", ["x", "e"], ["y"]), helper.make_node("Neg", ["s"], ["z"])],
        [value("x", [3, 0]), value("s", [])],
        [value("y", None), value("z", None)],
        [helper.make_tensor("e", FLOAT, [3, 0], np.zeros(0, np.float32))],
    )
    assert [str(t) for t in load(saved(scalar, tmp_path)).outputs.values()] == ["float32[3,0]", "float32[]"]


def test_small_file_with_a_huge_claim_allocates_nothing(tmp_path: Path) -> None:
    import resource

    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    nodes = [helper.make_node("ConstantOfShape", ["n"], ["c"]), helper.make_node("Mul", ["c", "c"], ["y"])]
    found = load(saved(model(nodes, [], [value("y", None)], [ints("n", [10**12])]), tmp_path))
    assert str(found.outputs["y"]) == "float32[1000000000000]"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    assert os.path.getsize(tmp_path / "m.onnx") < 1000  # noqa: PTH202
