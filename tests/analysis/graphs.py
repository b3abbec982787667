"""Small graphs for the analysis, built without a model file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from rooftune.analysis.tensors import Tensor
from rooftune.analysis.work import NodeWork
from rooftune.machine.spec import Bandwidth, Level, Machine, Peak, Standing
from rooftune.ops import TensorType, find, work_of
from rooftune.quantities import DType, Unknown

STANDING = Standing("estimate", "test", "2026-11-21")


class Net:
    """Builds nodes in order; every tensor is float32 unless said otherwise."""

    def __init__(self) -> None:
        self.tensors: dict[str, Tensor] = {}
        self.nodes: list[NodeWork] = []

    def input(self, name: str, *dims: int) -> str:
        self.tensors[name] = Tensor(name, TensorType(DType.FLOAT32, dims, name), is_input=True)
        return name

    def weight(self, name: str, *dims: int) -> str:
        self.tensors[name] = Tensor(name, TensorType(DType.FLOAT32, dims, name), constant=True)
        return name

    def node(
        self,
        op: str,
        inputs: Sequence[str],
        dims: Sequence[int],
        *,
        output: bool = False,
        attributes: Mapping[str, Any] | None = None,
        name: str = "",
    ) -> str:
        made = name or f"{op.lower()}{len(self.nodes)}"
        result = Tensor(f"{made}.y", TensorType(DType.FLOAT32, tuple(dims), f"{made}.y"), is_output=output)
        self.tensors[result.name] = result
        given = [self.tensors[i] for i in inputs]
        operator = find("", op)
        work = work_of("", op, attributes or {}, [t.type for t in given], [result.type])
        assert not isinstance(work, Unknown), work
        self.nodes.append(
            NodeWork(
                made,
                op,
                "",
                work,
                tuple(given),
                (result,),
                view=operator is not None and operator.is_view,
                attributes=attributes or {},
            )
        )
        return result.name


def machine(
    *,
    peak: float = 100e9,
    dram: float = 10e9,
    l2: tuple[int, float] | None = (1 << 20, 100e9),
    threads: int = 1,
) -> Machine:
    """A machine with round numbers: 100 GFLOP/s, 10 GB/s, 1 MiB of L2 at 100 GB/s."""
    levels = []
    if l2 is not None:
        levels.append(Level("L2", l2[0], (Bandwidth(l2[1], STANDING),)))
    levels.append(Level("DRAM", None, (Bandwidth(dram, STANDING),)))
    return Machine("test", "test", "cpu", (Peak("fp32", peak, STANDING),), tuple(levels), threads=threads)


def write_model(text: str, path: Path) -> Path:
    """Write a model from ONNX text; values declared in `<...>` that no node makes become weights of ones."""
    model = onnx.parser.parse_model(text)
    made = {name for node in model.graph.node for name in node.output} | {t.name for t in model.graph.initializer}
    for info in [v for v in model.graph.value_info if v.name not in made]:
        tensor = info.type.tensor_type
        dims = [d.dim_value for d in tensor.shape.dim]
        array = np.ones(dims, onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type))
        model.graph.initializer.append(onnx.numpy_helper.from_array(array, info.name))
        model.graph.value_info.remove(info)
    for index, node in enumerate(model.graph.node):
        node.name = f"{node.op_type.lower()}{index}"
    onnx.save(model, path)
    return path
