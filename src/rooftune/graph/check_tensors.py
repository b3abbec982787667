"""Does every tensor hold the bytes its shape and type ask for?"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import onnx
import onnx_ir as ir

from rooftune.errors import InputError
from rooftune.graph.external_data import ExternalData, ExternalRegion
from rooftune.graph.tensors_in import tensors_in
from rooftune.graph.wire import LARGE, PAYLOAD_MARK, Payload

__all__ = ["CheckedTensors", "check_tensors", "tensor_bytes"]

MAX_BYTES = 1 << 62

_FIELDS = {
    "FLOAT": "float_data", "COMPLEX64": "float_data", "DOUBLE": "double_data", "COMPLEX128": "double_data",
    "INT64": "int64_data", "UINT32": "uint64_data", "UINT64": "uint64_data", "STRING": "string_data",
}  # fmt: skip
_STRING, _EXTERNAL = onnx.TensorProto.STRING, onnx.TensorProto.EXTERNAL


@dataclass(frozen=True)
class _Kind:
    """Bits of an element, the field of `TensorProto` that holds elements one by one, and how many numbers each is."""

    bits: int
    field: str
    numbers: int


_KINDS = {
    int(kind): _Kind(
        bits=0 if kind == ir.DataType.STRING else kind.bitwidth,
        field=_FIELDS.get(kind.name, "int32_data"),
        numbers=2 if kind.name.startswith("COMPLEX") else 1,
    )
    for kind in ir.DataType
    if kind != ir.DataType.UNDEFINED
}


@dataclass(frozen=True)
class CheckedTensors:
    """What the check found: regions of external tensors, names without a file, and the files.

    `places` says for every tensor, in the order of `tensors_in`, where its data lies among the payloads and, behind
    them, the regions; None for data that is in the model itself.
    """

    regions: tuple[ExternalRegion, ...]
    missing: tuple[str, ...]
    locations: tuple[str, ...]
    places: tuple[int | None, ...]


def check_tensors(model: onnx.ModelProto, payloads: Sequence[Payload], external: ExternalData) -> CheckedTensors:
    """Check every tensor of the model; external ones are renumbered so that they can be found again.

    Afterwards the location of an external tensor is the mark, and its offset the place in `regions` behind the
    inline payloads. Raises `InputError` at the first tensor that cannot be right.
    """
    regions: list[ExternalRegion] = []
    missing: list[str] = []
    locations: dict[str, None] = {}
    places: list[int | None] = []
    for label, tensor in tensors_in(model):
        nbytes = tensor_bytes(label, tensor)
        if tensor.data_location != _EXTERNAL:
            _check_inline(label, tensor, nbytes)
            places.append(None)
            continue
        place = _payload_place(tensor, len(payloads))
        if place is not None:
            _check_payload(label, tensor, payloads[place], nbytes)
            places.append(place)
            continue
        if tensor.data_type == _STRING:
            raise InputError(f"{label} stores strings as external data", "store strings inside the model")
        region = external.region(label, tensor, nbytes)
        locations.setdefault(region.location)
        if region.file is None:
            missing.append(label)
        del tensor.external_data[:]
        if region.file is not None and nbytes < LARGE:
            # small constants steer shapes; inline they are seen by shape inference
            tensor.ClearField("data_location")
            tensor.raw_data = region.file.data[region.offset : region.offset + nbytes] if nbytes else b""
            places.append(None)
            continue
        for key, value in (("location", PAYLOAD_MARK), ("offset", str(len(payloads) + len(regions)))):
            entry = tensor.external_data.add()
            entry.key, entry.value = key, value
        places.append(len(payloads) + len(regions))
        regions.append(region)
    return CheckedTensors(tuple(regions), tuple(missing), tuple(locations), tuple(places))


def tensor_bytes(label: str, tensor: onnx.TensorProto) -> int:
    """Packed size of a tensor by its shape and type; 0 for strings."""
    kind, dims = _KINDS.get(tensor.data_type), tuple(tensor.dims)
    if kind is None:
        raise InputError(f"the tensor {label} has the unknown element type {tensor.data_type}", "export again")
    if dims and min(dims) < 0:
        raise InputError(f"the tensor {label} has a negative dimension: {list(dims)}", "export the model again")
    nbytes: int = -(-math.prod(dims) * kind.bits // 8)
    if nbytes > MAX_BYTES:
        raise InputError(f"the tensor {label} claims {nbytes} bytes", "export the model again")
    return nbytes


def _numbers(tensor: onnx.TensorProto, nbytes: int) -> int:
    """How many numbers the typed field must hold; elements below a byte come packed."""
    kind = _KINDS[tensor.data_type]
    return nbytes if 0 < kind.bits < 8 else kind.numbers * math.prod(tensor.dims)


def _check_inline(label: str, tensor: onnx.TensorProto, nbytes: int) -> None:
    field = _KINDS[tensor.data_type].field
    if tensor.HasField("raw_data"):
        if field == "string_data":
            raise InputError(f"the tensor {label} stores strings as raw data", "export the model again")
        found = len(tensor.raw_data)
        if found != nbytes:
            raise _mismatch(label, tensor, f"{found} bytes", f"{nbytes}")
        return
    expected, found = _numbers(tensor, nbytes), len(getattr(tensor, field))
    if found != expected:
        raise _mismatch(label, tensor, f"{found} numbers", f"{expected}")


def _payload_place(tensor: onnx.TensorProto, payloads: int) -> int | None:
    entries = {entry.key: entry.value for entry in tensor.external_data}
    place = entries.get("offset", "")
    if entries.get("location") != PAYLOAD_MARK or not place.isdigit() or len(place) > 9 or int(place) >= payloads:
        return None
    return int(place)


def _check_payload(label: str, tensor: onnx.TensorProto, payload: Payload, nbytes: int) -> None:
    field = _KINDS[tensor.data_type].field
    if payload.field != "raw_data" and payload.field != field:
        raise _mismatch(label, tensor, f"{payload.field}", field)
    if payload.field in ("raw_data", "float_data", "double_data"):
        if payload.length != nbytes:
            raise _mismatch(label, tensor, f"{payload.length} bytes", f"{nbytes}")
        return
    numbers = _numbers(tensor, nbytes)
    if not numbers <= payload.length <= 10 * numbers:
        raise _mismatch(label, tensor, f"{payload.length} bytes of {payload.field}", f"{numbers} numbers")


def _mismatch(label: str, tensor: onnx.TensorProto, found: str, expected: str) -> InputError:
    kind = ir.DataType(tensor.data_type).name.lower()
    shape = "x".join(map(str, tensor.dims))[:80] or "scalar"
    return InputError(
        f"the tensor {label} holds {found}, but {kind} {shape} asks for {expected}",
        "the file is damaged or was written wrongly: export the model again",
    )
