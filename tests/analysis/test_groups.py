"""Grouping into kernels: what fuses, what must not, and that every node is in exactly one kernel."""

from __future__ import annotations

import pytest

from rooftune.analysis.fusion import fusion_rules, known_backends
from rooftune.analysis.groups import group_nodes
from rooftune.errors import InputError
from tests.analysis.graphs import Net

MAP = [1, 16, 8, 8]


def conv(net: Net, source: str, name: str = "conv") -> str:
    return net.node("Conv", [source, net.weight(f"{name}.w", 16, 16, 1, 1)], MAP, name=name)


def ops(net: Net, backend: str) -> list[str]:
    return [k.op for k in group_nodes(net.nodes, fusion_rules(backend))]


def test_conv_batchnorm_relu_is_one_kernel() -> None:
    net = Net()
    y = conv(net, net.input("x", *MAP))
    statistics = [net.weight(n, 16) for n in ("scale", "shift", "mean", "variance")]
    y = net.node("BatchNormalization", [y, *statistics], MAP)
    net.node("Relu", [y], MAP, output=True)
    for backend in ("onnxruntime", "openvino"):
        assert ops(net, backend) == ["Conv+BatchNormalization+Relu"]
    assert ops(net, "none") == ["Conv", "BatchNormalization", "Relu"]


def test_a_tensor_somebody_else_reads_keeps_the_kernels_apart() -> None:
    net = Net()
    y = conv(net, net.input("x", *MAP))
    net.node("Relu", [y], MAP, output=True)
    net.node("Sigmoid", [y], MAP, output=True)
    assert ops(net, "onnxruntime") == ["Conv", "Relu", "Sigmoid"]


def test_a_model_output_does_not_vanish_into_a_kernel() -> None:
    net = Net()
    x = net.input("x", *MAP)
    y = net.node("Conv", [x, net.weight("w", 16, 16, 1, 1)], MAP, output=True)
    net.node("Relu", [y], MAP, output=True)
    assert ops(net, "onnxruntime") == ["Conv", "Relu"]


def test_residual_add_joins_the_later_convolution_only() -> None:
    net = Net()
    x = net.input("x", *MAP)
    left = conv(net, x, "left")
    right = conv(net, left, "right")
    y = net.node("Add", [right, left], MAP)
    net.node("Relu", [y], MAP, output=True)
    # `left` is read by `right` and by the Add, so it has to be written; `right` can take the Add
    assert ops(net, "onnxruntime") == ["Conv", "Conv+Add+Relu"]


def test_add_of_two_convolutions_waits_for_both() -> None:
    net = Net()
    x = net.input("x", *MAP)
    first, second = conv(net, x, "first"), conv(net, x, "second")
    net.node("Add", [first, second], MAP, output=True)
    found = group_nodes(net.nodes, fusion_rules("onnxruntime"))
    assert sorted(len(k.nodes) for k in found) == [1, 2]
    # whichever takes the Add runs last
    assert len(found[-1].nodes) == 2


def test_broadcast_operand_is_no_residual() -> None:
    net = Net()
    y = conv(net, net.input("x", *MAP))
    net.node("Add", [y, net.input("r", 1, 16, 1, 1)], MAP, output=True)
    assert ops(net, "onnxruntime") == ["Conv", "Add"]


def test_silu_is_one_kernel_and_joins_a_convolution_in_openvino() -> None:
    net = Net()
    y = conv(net, net.input("x", *MAP))
    s = net.node("Sigmoid", [y], MAP)
    net.node("Mul", [y, s], MAP, output=True)
    assert ops(net, "openvino") == ["Conv+Sigmoid+Mul"]
    assert ops(net, "onnxruntime") == ["Conv", "Sigmoid+Mul"]


def test_decomposed_layer_norm_is_found() -> None:
    net = Net()
    shape, one = [4, 32], [4, 1]
    x = net.node("Relu", [net.input("x", *shape)], shape)
    mean = net.node("ReduceMean", [x], one, attributes={"axes": [-1]})
    centred = net.node("Sub", [x, mean], shape)
    squared = net.node("Pow", [centred, net.weight("two")], shape)
    variance = net.node("ReduceMean", [squared], one, attributes={"axes": [-1]})
    shifted = net.node("Add", [variance, net.weight("epsilon")], one)
    root = net.node("Sqrt", [shifted], one)
    scaled = net.node("Div", [centred, root], shape)
    gained = net.node("Mul", [scaled, net.weight("gain", 32)], shape)
    net.node("Add", [gained, net.weight("shift", 32)], shape, output=True)
    kernels = group_nodes(net.nodes, fusion_rules("onnxruntime"))
    assert [len(k.nodes) for k in kernels] == [1, 9]


@pytest.mark.parametrize("backend", known_backends())
def test_every_node_is_in_exactly_one_kernel(backend: str) -> None:
    net = Net()
    y = net.input("x", *MAP)
    for index in range(30):
        y = conv(net, y, f"c{index}") if index % 3 == 0 else net.node("Relu" if index % 3 == 1 else "Sigmoid", [y], MAP)
    kernels = group_nodes(net.nodes, fusion_rules(backend))
    names = [n.name for k in kernels for n in k.nodes]
    assert sorted(names) == sorted(n.name for n in net.nodes)


def test_rules_nobody_wrote_down_are_an_error() -> None:
    with pytest.raises(InputError, match="no fusion groups"):
        fusion_rules("tensorrt")
