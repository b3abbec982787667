"""The activation peak against a brute-force simulation of an allocator, on random graphs."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from rooftune.analysis.elementwise import ELEMENTWISE
from rooftune.analysis.footprint import activation_peak
from rooftune.analysis.work import NodeWork
from tests.analysis.graphs import Net


def brute_force(nodes: list[NodeWork]) -> int:
    """Hold buffers in a dictionary, decide at every step by looking at the whole rest of the graph, record the most."""
    buffers: dict[int, int] = {}  # buffer id -> bytes
    where: dict[str, int] = {}  # tensor -> buffer id
    fresh_id = 0
    most = 0

    def needed_later(buffer: int, after: int) -> bool:
        names = [t for t, b in where.items() if b == buffer]
        read = any(t is not None and t.name in names for n in nodes[after + 1 :] for t in n.inputs)
        outputs = {t.name for n in nodes for t in (*n.inputs, *n.outputs) if t is not None and t.is_output}
        # a view of this buffer made later keeps it alive too: it is one of the readers, so `read` covers it
        return read or any(name in outputs for name in names)

    for node in nodes:
        for tensor in node.inputs:
            if tensor is not None and tensor.is_input and tensor.name not in where:
                where[tensor.name] = fresh_id
                buffers[fresh_id] = tensor.bytes  # type: ignore[assignment]
                fresh_id += 1
    for step, node in enumerate(nodes):
        (output,) = (t for t in node.outputs if t is not None)
        first = node.inputs[0]
        if node.view and first is not None and not first.constant:
            where[output.name] = where[first.name]
        else:
            reused = None
            if node.op in ELEMENTWISE:
                for tensor in node.inputs:
                    if tensor is None or tensor.constant or tensor.is_input:
                        continue
                    buffer = where[tensor.name]
                    if buffers.get(buffer) == output.bytes and not needed_later(buffer, step):
                        reused = buffer
                        break
            if reused is None:
                reused = fresh_id
                buffers[fresh_id] = output.bytes  # type: ignore[assignment]
                fresh_id += 1
            where[output.name] = reused
        most = max(most, sum(buffers.values()))
        for buffer in [b for b in buffers if not needed_later(b, step)]:
            del buffers[buffer]
    return most


@st.composite
def random_nets(draw: st.DrawFn) -> list[NodeWork]:
    net = Net()
    shapes = {net.input("x", 2, draw(st.integers(1, 6))): 0}
    names = list(shapes)
    for _ in range(draw(st.integers(1, 12))):
        source = draw(st.sampled_from(names))
        rows, columns = (int(d) for d in net.tensors[source].type.dims)  # type: ignore[union-attr]
        kind = draw(st.sampled_from(["Relu", "Reshape", "Transpose", "Add", "Concat"]))
        output = draw(st.integers(0, 7)) == 0
        if kind == "Relu":
            names.append(net.node("Relu", [source], [rows, columns], output=output))
        elif kind == "Reshape":
            shape = net.weight(f"shape{len(net.nodes)}", 2)
            names.append(net.node("Reshape", [source, shape], [columns, rows], output=output))
        elif kind == "Transpose":
            names.append(net.node("Transpose", [source], [columns, rows], output=output))
        elif kind == "Add":
            same = [n for n in names if net.tensors[n].type.dims == (rows, columns)]  # type: ignore[union-attr]
            names.append(net.node("Add", [source, draw(st.sampled_from(same))], [rows, columns], output=output))
        else:
            other = draw(
                st.sampled_from([n for n in names if net.tensors[n].type.dims[1] == columns])  # type: ignore[union-attr]
            )
            more = int(net.tensors[other].type.dims[0])  # type: ignore[union-attr]
            names.append(
                net.node("Concat", [source, other], [rows + more, columns], output=output, attributes={"axis": 0})
            )
    return net.nodes


@given(random_nets())
@settings(max_examples=300, deadline=None)
def test_peak_equals_the_simulation(nodes: list[NodeWork]) -> None:
    assert activation_peak(nodes) == brute_force(nodes)


def test_elementwise_chain_needs_one_buffer_beside_the_input() -> None:
    net = Net()
    a = net.node("Relu", [net.input("x", 100)], [100])
    b = net.node("Sigmoid", [a], [100])
    net.node("Relu", [b], [100], output=True)
    assert activation_peak(net.nodes) == 800


def test_residual_keeps_its_operand_alive() -> None:
    net = Net()
    x = net.node("Relu", [net.input("x", 10)], [10])
    t = net.node("Transpose", [x], [10])
    u = net.node("Transpose", [t], [10])
    net.node("Add", [u, x], [10], output=True)
    # x, t and u live together while u is made
    assert activation_peak(net.nodes) == 3 * 40
