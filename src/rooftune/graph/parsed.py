"""A model that is checked and inferred, on its way from a file to a graph."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from rooftune.errors import InputError
from rooftune.graph.check_tensors import CheckedTensors
from rooftune.graph.external_data import ExternalRegion
from rooftune.graph.file_tensor import MappedFile
from rooftune.graph.flat import FlatGraph, flat_graph
from rooftune.graph.identity import missing_key, region_key
from rooftune.graph.lazy_weights import attach_weights
from rooftune.graph.node_names import name_nodes
from rooftune.graph.shapes import Declared, contradiction, repair_shapes
from rooftune.graph.sparse import SparseSource
from rooftune.graph.wire import Payload

__all__ = ["ParsedModel"]


@dataclass(frozen=True)
class ParsedModel:
    """What a graph is built of. `declared` holds the shapes the file states, taken out of `inferred`."""

    inferred: onnx.ModelProto
    declared: Declared
    file: MappedFile | None
    payloads: Sequence[Payload]
    tensors: CheckedTensors
    sparse: Mapping[str, SparseSource]

    def flat(self, warnings: list[str]) -> FlatGraph | None:
        """The light view with the warnings `build` would give; None where only `build` can tell."""
        if self.sparse:
            return None
        places = self.tensors.places[: len(self.inferred.graph.initializer)]
        # payloads never overlap; regions of other files may
        stored = [self._key(place) for place in places] if self.tensors.regions else places
        found = flat_graph(self.inferred, stored, self.declared.keys())
        if found is not None:
            made = [name for node in found.nodes for name in node.outputs if name in self.declared]
            warnings += contradiction(((name, found.types[name].shape) for name in made), self.declared)
        return found

    def build(self, warnings: list[str]) -> ir.Model:
        """A graph of its own, its shapes completed and its weights still in their files."""
        graph = _to_ir(self.inferred)
        attach_weights(graph, self.file, self.payloads, self.tensors.regions, self.sparse)
        repair_shapes(graph, self.declared, warnings)
        name_nodes(graph.graph)
        return graph

    def _key(self, place: int | None) -> Hashable:
        """Where the data of a tensor lies, as `weight_key` says it; None for data in the model itself."""
        if place is None:
            return None
        region: Payload | ExternalRegion
        if place < len(self.payloads):
            region, file = self.payloads[place], self.file
        else:
            region = self.tensors.regions[place - len(self.payloads)]
            file = region.file
            if file is None:
                return missing_key(region.location, region.offset, region.length)
        assert file is not None
        return region_key(file, region.offset, region.length)


def _to_ir(proto: onnx.ModelProto) -> ir.Model:
    try:
        return ir.from_proto(proto)
    except Exception as why:
        # whatever the library cannot read is a malformed model; it raises many types
        reason = str(why.__cause__ or why).splitlines()[0][:200]
        raise InputError(f"the graph is malformed: {reason}", "export the model again") from why
