"""A loaded model: the graph, where it came from, and what was noticed on the way."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import onnx_ir

from rooftune.graph.collector import collector_at_rest
from rooftune.graph.flat import FlatGraph
from rooftune.graph.parsed import ParsedModel
from rooftune.graph.types import value_type
from rooftune.ops.types import ValueType

__all__ = ["Model"]


@dataclass(frozen=True)
class Model:
    """A model whose shapes are inferred and whose weights are still in their files.

    source        the graph, or what it is built of when `ir` is first asked for
    path          the file it was read from; None for a graph built in memory
    warnings      what is odd about the model but does not stop anybody, one line each
    missing_data  initialisers whose external file is not there; their shapes are known, their values are not
    bindings      open dimensions the user gave a size, by name
    data_files    files with external data, relative to the model's folder, as the model names them
    view          a light view of the graph as it was read, where there is one; see `flat`
    """

    source: onnx_ir.Model | ParsedModel = field(repr=False)
    path: Path | None = None
    warnings: tuple[str, ...] = ()
    missing_data: tuple[str, ...] = ()
    bindings: Mapping[str, int] = field(default_factory=dict)
    data_files: tuple[str, ...] = ()
    view: FlatGraph | None = field(default=None, repr=False)

    @cached_property
    def ir(self) -> onnx_ir.Model:
        """The model as onnx_ir has it, which may be edited."""
        if not isinstance(self.source, ParsedModel):
            return self.source
        with collector_at_rest():
            return self.source.build([])  # its warnings are those of `flat`, which were given when it was loaded

    @property
    def flat(self) -> FlatGraph | None:
        """The light view while it is certain to be true: until somebody has `ir`, and could have edited it."""
        return None if "ir" in vars(self) else self.view

    def edited(self, graph: onnx_ir.Model) -> Model:
        """A model with a changed graph: no longer the one in the file, and named after nothing on disk."""
        return replace(self, source=graph, path=None, view=None)

    @property
    def graph(self) -> onnx_ir.Graph:
        return self.ir.graph

    @property
    def nodes(self) -> Iterator[onnx_ir.Node]:
        """The nodes of the main graph, in an order in which they can run."""
        return iter(self.ir.graph)

    @property
    def opset(self) -> int:
        """The version of the default operator set; 1 where the model declares none."""
        imports = self.ir.opset_imports
        return imports.get("", imports.get("ai.onnx", 1))

    @property
    def inputs(self) -> dict[str, ValueType | None]:
        """Type of every input the caller must give (initialisers are not asked for)."""
        initialisers = self.ir.graph.initializers
        return {v.name or "": value_type(v) for v in self.ir.graph.inputs if v.name not in initialisers}

    @property
    def outputs(self) -> dict[str, ValueType | None]:
        """Type of every output, by name."""
        return {v.name or "": value_type(v) for v in self.ir.graph.outputs}

    @property
    def open_dimensions(self) -> tuple[str, ...]:
        """Names of the open dimensions of the inputs, in order of appearance."""
        found: dict[str, None] = {}
        for value in self.ir.graph.inputs:
            for dim in value.shape or ():
                if isinstance(dim, onnx_ir.SymbolicDim) and dim.value is not None:
                    found.setdefault(dim.value)
        return tuple(found)
