"""What a kernel moves, and from how far: the tensors at its border with their reuse distance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from rooftune.analysis.groups import Kernel
from rooftune.analysis.tensors import Tensor
from rooftune.ops.types import add_up
from rooftune.quantities import Maybe, Unknown

__all__ = ["Access", "kernel_accesses", "reuse_distances"]


class Access(NamedTuple):
    """One tensor crossing the border of a kernel. `role`: `input`, `weight` or `output`."""

    tensor: Tensor
    key: str  # tensors that share memory share the key
    role: str
    bytes: Maybe


def kernel_accesses(kernel: Kernel, storage: Mapping[str, str]) -> tuple[Access, ...]:
    """Tensors a kernel reads from and writes to memory; what passes between its own nodes is free.

    Views move nothing and folded nodes run before the first inference. A tensor two nodes of the kernel read is
    read once. Where nobody knows an operator's work its whole inputs and outputs count.
    """
    if kernel.kind != "compute":
        return ()
    made = {t.name for n in kernel.nodes for t in n.outputs if t is not None}
    found: dict[str, Access] = {}
    last = kernel.nodes[-1]
    for node in kernel.nodes:
        reads = () if isinstance(node.work, Unknown) else (node.work.reads or ())
        for position, tensor in enumerate(node.inputs):
            if tensor is None or tensor.name in made:
                continue
            size = reads[position] if position < len(reads) else tensor.bytes
            key = storage.get(tensor.name, tensor.name)
            known = found.get(key)
            if known is None or _less(known.bytes, size):
                found[key] = Access(tensor, key, "weight" if tensor.constant else "input", size)
        writes = () if isinstance(node.work, Unknown) else (node.work.writes or ())
        for position, tensor in enumerate(node.outputs):
            if tensor is None or (node is not last and tensor.name not in kernel.kept):
                continue
            size = writes[position] if position < len(writes) else tensor.bytes
            key = storage.get(tensor.name, tensor.name)
            found[f"{key}→"] = Access(tensor, key, "output", size)
    return tuple(found.values())


def _less(a: Maybe, b: Maybe) -> bool:
    return isinstance(a, int) and isinstance(b, int) and a < b


def fused_bytes(accesses: Sequence[Access]) -> Maybe:
    """Bytes at the border of a kernel."""
    return add_up(a.bytes for a in accesses)


def reuse_distances(schedule: Sequence[Sequence[tuple[str, int]]]) -> list[list[int]]:
    """Bytes of distinct tensors touched since each access's tensor was last touched, that tensor included.

    `schedule` holds per kernel the (tensor, bytes) it touches; the model is taken to run again and again, so the
    weights were last touched in the run before. The LRU stack distance, with sums over blocks of the accesses.
    """
    accesses = [
        (kernel, slot, key, size) for kernel, row in enumerate(schedule) for slot, (key, size) in enumerate(row)
    ]
    count = len(accesses)
    width = math.isqrt(2 * count) + 1
    touched = [0] * (2 * count)  # the size of each tensor at the place where it was touched last
    blocks = [0] * width  # sums of `width` of these
    # what the run before leaves behind: each tensor where it was touched last
    last = {key: (time, size) for time, (_, _, key, size) in enumerate(accesses)}
    for place, size in last.values():
        touched[place] = size
        blocks[place // width] += size
    distances: list[list[int]] = [[0] * len(row) for row in schedule]
    for time, (kernel, slot, key, size) in enumerate(accesses, start=count):
        before, size_before = last[key]
        block = before // width
        since = sum(touched[before + 1 : (block + 1) * width]) + sum(blocks[block + 1 :])
        distances[kernel][slot] = since + size
        touched[before], touched[time] = 0, size
        blocks[block] -= size_before
        blocks[time // width] += size
        last[key] = (time, size)
    return distances
