"""The lower bound: worked out by hand on a machine with round numbers."""

from __future__ import annotations

import pytest

from rooftune.analysis.fusion import fusion_rules
from rooftune.analysis.groups import group_nodes
from rooftune.analysis.roofline import Roof, kernel_roofs
from rooftune.analysis.traffic import kernel_accesses
from rooftune.machine.spec import Machine
from tests.analysis.graphs import Net, machine


def roofs(net: Net, on: Machine, number_format: str | None = None) -> list[Roof]:
    kernels = group_nodes(net.nodes, fusion_rules("onnxruntime"))
    found = kernel_roofs(kernels, [kernel_accesses(k, {}) for k in kernels], on, 1, number_format)
    assert all(isinstance(r, Roof) for r in found)
    return found  # type: ignore[return-value]


def matmul(rows: int, depth: int, columns: int) -> Net:
    net = Net()
    net.node("MatMul", [net.input("x", rows, depth), net.weight("w", depth, columns)], [rows, columns], output=True)
    return net


def test_compute_bound_product() -> None:
    (roof,) = roofs(matmul(1000, 1000, 1000), machine())
    assert roof.bound == "compute"
    assert roof.seconds == pytest.approx(2e9 / 100e9)


def test_memory_bound_product_reads_cold_weights_from_dram() -> None:
    # one row: 2·10⁶ FLOPs, 4·10⁶ bytes of weights, more than the megabyte of L2
    (roof,) = roofs(matmul(1, 1000, 1000), machine())
    assert (roof.bound, roof.level) == ("memory", "DRAM")
    assert roof.seconds == pytest.approx(4.008e6 / 10e9)


def test_small_weights_stay_in_cache_from_run_to_run() -> None:
    (roof,) = roofs(matmul(1, 100, 100), machine())
    assert (roof.bound, roof.level) == ("memory", "L2")
    assert roof.seconds == pytest.approx((40_000 + 800) / 100e9)
    assert roof.dram_bytes == 0


def test_weights_are_cold_when_the_whole_model_exceeds_the_cache() -> None:
    net = Net()
    y = net.input("x", 1, 400)
    for index in range(3):
        y = net.node("MatMul", [y, net.weight(f"w{index}", 400, 400)], [1, 400], output=index == 2)
    # each weight is 640 kB and fits; together they do not, so each one comes from DRAM again
    for roof in roofs(net, machine()):
        assert roof.level == "DRAM"
        assert roof.dram_bytes >= 640_000


def test_padding_taps_are_not_executed() -> None:
    net = Net()
    net.node(
        "Conv",
        [net.input("x", 1, 256, 2, 2), net.weight("w", 256, 256, 3, 3)],
        [1, 256, 2, 2],
        output=True,
        attributes={"pads": [1, 1, 1, 1]},
    )
    (roof,) = roofs(net, machine(dram=1e15, l2=None))
    # 36 conventional taps per channel pair, of which 16 meet the map
    assert roof.compute_seconds == pytest.approx(2 * 16 * 256 * 256 / 100e9)


def test_number_format_scales_bytes_of_floats() -> None:
    (full,) = roofs(matmul(1, 1000, 1000), machine())
    (half,) = roofs(matmul(1, 1000, 1000), machine(), "fp16")
    assert half.memory_seconds == pytest.approx(full.memory_seconds / 2)
