"""Memory held at the peak of a run: weights and the largest set of live activations."""

from __future__ import annotations

from collections.abc import Sequence

from rooftune.analysis.elementwise import ELEMENTWISE
from rooftune.analysis.tensors import Tensor
from rooftune.analysis.work import NodeWork
from rooftune.quantities import Count, Maybe, Unknown, larger

__all__ = ["activation_peak"]


def activation_peak(nodes: Sequence[NodeWork]) -> Maybe:
    """Bytes of the live activations where they are most, in the given order of execution.

    A tensor lives from the node that makes it (model inputs: from the start) to its last reader (model
    outputs: to the end). While a node runs its inputs and outputs live together, except that an
    elementwise operator may write over an input of the same size that nobody reads again, and a view
    is its input's memory under another name. Tensors of unknown size make the peak `Unknown`.
    """
    owner, last_use = _lifetimes(nodes)
    activations = _activations(nodes)
    sizes: dict[str, Count] = {}
    for tensor in activations:
        if owner[tensor.name] != tensor.name:
            continue
        size = tensor.bytes
        if isinstance(size, Unknown):
            return size
        sizes[tensor.name] = size
    inputs = [t.name for t in activations if t.is_input and owner[t.name] == t.name]
    return _sweep(nodes, inputs, owner, last_use, sizes)


def _activations(nodes: Sequence[NodeWork]) -> list[Tensor]:
    found: dict[str, Tensor] = {}
    for node in nodes:
        for tensor in (*node.inputs, *node.outputs):
            if tensor is not None and not tensor.constant:
                found.setdefault(tensor.name, tensor)
    return list(found.values())


def _lifetimes(nodes: Sequence[NodeWork]) -> tuple[dict[str, str], dict[str, int]]:
    """Who owns each tensor's memory (itself, or the input a view looks at), and when it is last needed."""
    owner: dict[str, str] = {}
    last_use: dict[str, int] = {}
    end = len(nodes)
    for step, node in enumerate(nodes):
        for tensor in node.inputs:
            if tensor is not None and not tensor.constant:
                owner.setdefault(tensor.name, tensor.name)
                last_use[owner[tensor.name]] = (
                    end if tensor.is_output else max(step, last_use.get(owner[tensor.name], 0))
                )
        source = node.inputs[0] if node.inputs else None
        for tensor in node.outputs:
            if tensor is None or tensor.constant:
                continue
            aliased = node.view and source is not None and not source.constant and tensor is node.outputs[0]
            owner[tensor.name] = owner[source.name] if aliased and source is not None else tensor.name
            key = owner[tensor.name]
            last_use[key] = max(end if tensor.is_output else step, last_use.get(key, 0))
    return owner, last_use


def _sweep(
    nodes: Sequence[NodeWork],
    inputs: Sequence[str],
    owner: dict[str, str],
    last_use: dict[str, int],
    sizes: dict[str, Count],
) -> Count:
    held = set(inputs)
    live: Count = sum([sizes[name] for name in inputs])
    peaks: list[Count] = []
    dying: dict[int, list[str]] = {}
    for name, step in last_use.items():
        dying.setdefault(step, []).append(name)
    for step, node in enumerate(nodes):
        fresh = [owner[t.name] for t in node.outputs if t is not None and not t.constant]
        fresh = [name for name in dict.fromkeys(fresh) if name not in held]
        over = _written_over(node, step, owner, last_use, held, sizes) if len(fresh) == 1 else None
        for name in fresh:
            held.add(name)
            live = live + sizes[name]
        if over is not None:
            held.discard(over)
            live = live - sizes[over]
        peaks.append(live)
        for name in dying.get(step, ()):
            if name in held:
                held.discard(name)
                live = live - sizes[name]
    return _largest(peaks)


def _written_over(
    node: NodeWork, step: int, owner: dict[str, str], last_use: dict[str, int], held: set[str], sizes: dict[str, Count]
) -> str | None:
    """An input that dies here and whose memory the only output can take: elementwise, same size."""
    output = next(t for t in node.outputs if t is not None)
    if node.op not in ELEMENTWISE:
        return None
    for tensor in node.inputs:
        if tensor is None or tensor.constant or tensor.is_input:
            continue
        name = owner[tensor.name]
        if name in held and last_use[name] == step and sizes[name] == sizes.get(owner[output.name]):
            return name
    return None


def _largest(peaks: Sequence[Count]) -> Count:
    """The largest of many sums; of expressions only those that no other one dominates term by term are kept."""
    unique = list(dict.fromkeys(peaks))
    numbers = [p for p in unique if isinstance(p, int)]
    open_sums = [p for p in unique if not isinstance(p, int)]
    if not open_sums:
        return max(numbers, default=0)
    terms = [dict(p.expand().as_coefficients_dict()) for p in open_sums]
    if numbers:
        terms.append({1: max(numbers)})
        open_sums.append(max(numbers))
    kept = [
        p
        for i, p in enumerate(open_sums)
        if not any(_dominates(terms[j], terms[i], j < i) for j in range(len(open_sums)) if j != i)
    ]
    return kept[0] if len(kept) == 1 else larger(*kept)


def _dominates(a: dict[object, int], b: dict[object, int], wins_ties: bool) -> bool:
    at_least = all(a.get(key, 0) >= value for key, value in b.items()) and all(
        value >= b.get(key, 0) for key, value in a.items()
    )
    return at_least and (wins_ties or a != b)
