"""Reuse distances against their definition, and what crosses the border of a kernel."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.analysis.fusion import fusion_rules
from rooftune.analysis.groups import group_nodes
from rooftune.analysis.traffic import fused_bytes, kernel_accesses, reuse_distances
from tests.analysis.graphs import Net

SIZES = {"a": 3, "b": 5, "c": 7, "d": 11}


@given(st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=4, unique=True), min_size=1, max_size=8))
@settings(max_examples=200, deadline=None)
def test_distances_follow_their_definition(rows: list[list[str]]) -> None:
    schedule = [[(key, SIZES[key]) for key in row] for row in rows]
    found = reuse_distances(schedule)
    flat = [key for row in rows for key in row] * 2
    half = len(flat) // 2
    place = half
    for row, distances in zip(rows, found, strict=True):
        for key, distance in zip(row, distances, strict=True):
            before = max(i for i in range(place) if flat[i] == key)
            assert distance == sum(SIZES[k] for k in set(flat[before:place]) | {key})
            place += 1


def test_inner_tensors_are_free_and_a_tensor_read_twice_counts_once() -> None:
    net = Net()
    x = net.input("x", 1, 8, 4, 4)
    w = net.weight("w", 8, 8, 1, 1)
    y = net.node("Conv", [x, w], [1, 8, 4, 4])
    z = net.node("Add", [y, x], [1, 8, 4, 4])
    net.node("Relu", [z], [1, 8, 4, 4], output=True)
    (kernel,) = group_nodes(net.nodes, fusion_rules("onnxruntime"))
    accesses = kernel_accesses(kernel, {})
    assert fused_bytes(accesses) == 4 * (128 + 64 + 128)
    assert sorted(a.role for a in accesses) == ["input", "output", "weight"]
