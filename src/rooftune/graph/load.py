"""Loading an ONNX file without touching its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from rooftune.errors import InputError
from rooftune.graph.bindings import bind, name_open_dimensions
from rooftune.graph.check_structure import check_structure
from rooftune.graph.check_tensors import check_tensors
from rooftune.graph.collector import collector_at_rest
from rooftune.graph.external_data import ExternalData
from rooftune.graph.file_tensor import MappedFile
from rooftune.graph.model import Model
from rooftune.graph.parsed import ParsedModel
from rooftune.graph.shapes import infer_in_bulk, set_declared_aside
from rooftune.graph.sparse import densify
from rooftune.graph.tensors_in import attributes_in, graphs_of
from rooftune.graph.text_fields import undecodable_text
from rooftune.graph.wire import Skeleton, read_skeleton

__all__ = ["load", "load_proto"]

_REMEDY = "give the path of an ONNX model"


def load(
    path: str | Path,
    *,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
) -> Model:
    """Load an ONNX model: its graph now, its weights when somebody asks for them.

    `shapes` gives sizes to open dimensions by input name, `batch` to the first dimension of every input.
    Shapes of all values are inferred; dimensions that stay open keep their names. Takes time and memory by the
    size of the graph, not of the weights. Raises `InputError` for a file that cannot be a valid model.
    """
    path = Path(path)
    file, skeleton = _read(path)
    proto = _parse(skeleton, path)
    return load_proto(proto, path=path, file=file, skeleton=skeleton, shapes=shapes, batch=batch)


def load_proto(
    proto: onnx.ModelProto,
    *,
    path: Path | None = None,
    file: MappedFile | None = None,
    skeleton: Skeleton | None = None,
    shapes: Mapping[str, Sequence[int | str]] | None = None,
    batch: int | None = None,
) -> Model:
    """Check, bind and infer a parsed model; `skeleton` says which of its tensors still lie in `file`.

    A whole proto stays as it is; one read with a skeleton becomes part of the model.
    """
    if skeleton is None:
        proto, given = onnx.ModelProto(), proto
        proto.CopyFrom(given)
    try:
        return _build(proto, path, file, skeleton, shapes, batch)
    except (TypeError, AttributeError, UnicodeError) as why:
        name = undecodable_text(proto)
        if name is None:
            raise
        raise InputError(f"a name in the model is not UTF-8 text: {name!r}", "export the model again") from why


def _build(
    proto: onnx.ModelProto,
    path: Path | None,
    file: MappedFile | None,
    skeleton: Skeleton | None,
    shapes: Mapping[str, Sequence[int | str]] | None,
    batch: int | None,
) -> Model:
    payloads = skeleton.payloads if skeleton is not None else ()
    with collector_at_rest():
        warnings = check_structure(proto)
        checked = check_tensors(proto, payloads, ExternalData(path.parent if path is not None else None))
        if checked.missing:
            first = ", ".join(checked.missing[:3]) + (", ..." if len(checked.missing) > 3 else "")
            files = ", ".join(sorted({r.location for r in checked.regions if r.file is None}))
            count = len(checked.missing)
            warnings.append(f"the data of {count} tensor{'s are' if count > 1 else ' is'} missing ({files}): {first}")
        inside = list(attributes_in(proto.graph.node))
        inner = list(graphs_of(inside))
        sparse = densify(proto, inside)
        name_open_dimensions(proto.graph)
        bound = bind(proto.graph, shapes, batch)
        declared = set_declared_aside(proto, inner)
        parsed = ParsedModel(infer_in_bulk(proto, inner, warnings), declared, file, payloads, checked, sparse)
        flat = parsed.flat(warnings)
        source = parsed.build(warnings) if flat is None else parsed
    return Model(source, path, tuple(warnings), checked.missing, bound, checked.locations, flat)


def _read(path: Path) -> tuple[MappedFile, Skeleton]:
    try:
        if path.is_dir():
            raise InputError(f"{path} is a folder", _REMEDY)
        file = MappedFile(path)
        if file.size == 0:
            raise InputError(f"{path} is empty", _REMEDY)
        try:
            return file, read_skeleton(file.data)
        except InputError as why:
            raise InputError(f"{path}: {why.cause}", why.remedy) from why
    except FileNotFoundError as why:
        raise InputError(f"no such file: {path}", _REMEDY) from why
    except (OSError, ValueError) as why:
        raise InputError(f"{path} cannot be read: {why}", _REMEDY) from why


def _parse(skeleton: Skeleton, path: Path) -> onnx.ModelProto:
    try:
        proto = onnx.ModelProto()
        proto.ParseFromString(skeleton.model)
        return proto
    except Exception as why:  # protobuf's DecodeError, which has no typed home
        raise InputError(f"{path} is not an ONNX model: {str(why) or 'its parts do not fit'}", _REMEDY) from why
