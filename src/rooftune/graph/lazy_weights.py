"""Tying the tensors of a graph to the regions of files that hold their values."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import onnx_ir as ir

from rooftune.graph.external_data import ExternalRegion
from rooftune.graph.file_tensor import FileTensor, MappedFile, Region, VarintTensor
from rooftune.graph.missing_tensor import MissingTensor
from rooftune.graph.sparse import SparseSource, dense_tensor
from rooftune.graph.wire import PAYLOAD_MARK, Payload

__all__ = ["attach_weights"]


def attach_weights(
    model: ir.Model,
    file: MappedFile | None,
    payloads: Sequence[Payload],
    regions: Sequence[ExternalRegion],
    sparse: Mapping[str, SparseSource],
) -> None:
    """Replace every marked tensor of the model by one that reads its region when asked."""
    if not (payloads or regions or sparse):
        return
    attach = _Attach(file, payloads, regions, sparse)
    attach.graph(model.graph)
    for function in model.functions.values():
        attach.nodes(function)


class _Attach:
    def __init__(
        self,
        file: MappedFile | None,
        payloads: Sequence[Payload],
        regions: Sequence[ExternalRegion],
        sparse: Mapping[str, SparseSource],
    ) -> None:
        self.file, self.payloads, self.regions, self.sparse = file, payloads, regions, sparse

    def graph(self, graph: ir.Graph) -> None:
        for value in graph.initializers.values():
            value.const_value = self.tensor(value.const_value)
        self.nodes(graph)

    def nodes(self, nodes: Iterable[ir.Node]) -> None:
        for node in nodes:
            for attribute in list(node.attributes.values()):
                if attribute.is_ref():
                    continue
                if attribute.type == ir.AttributeType.GRAPH:
                    self.graph(attribute.as_graph())
                elif attribute.type == ir.AttributeType.GRAPHS:
                    for graph in attribute.as_graphs():
                        self.graph(graph)
                elif attribute.type == ir.AttributeType.TENSOR:
                    tensor = self.tensor(attribute.value)
                    if tensor is not attribute.value:
                        node.attributes[attribute.name] = ir.AttrTensor(attribute.name, tensor)
                elif attribute.type == ir.AttributeType.TENSORS:
                    tensors = [self.tensor(t) for t in attribute.value]
                    node.attributes[attribute.name] = ir.AttrTensors(attribute.name, tensors)

    def tensor(self, tensor: Any) -> Any:
        """The tensor that stands for a marked one; any other as it is."""
        if not isinstance(tensor, ir.ExternalTensor):
            return tensor
        location, place = str(tensor.location), tensor.offset or 0
        if location != PAYLOAD_MARK:
            return dense_tensor(self.sparse[location], tensor, self.tensor)
        notes: dict[str, Any] = {"doc_string": tensor.doc_string, "metadata_props": dict(tensor.metadata_props)}
        about = (tensor.dtype, tensor.shape, tensor.name)
        if place < len(self.payloads):
            payload = self.payloads[place]
            kind = FileTensor if payload.field in ("raw_data", "float_data", "double_data") else VarintTensor
            assert self.file is not None
            return kind(Region(self.file, payload.offset, payload.length), *about, **notes)
        region = self.regions[place - len(self.payloads)]
        if region.file is None:
            return MissingTensor(region.location, region.offset, *about, **notes)
        return FileTensor(Region(region.file, region.offset, region.length), *about, external=True, **notes)
