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

_INT32 = "int32_data"
_FIELDS = {
    "FLOAT": "float_data", "COMPLEX64": "float_data", "DOUBLE": "double_data", "COMPLEX128": "double_data",
    "INT64": "int64_data", "UINT32": "uint64_data", "UINT64": "uint64_data", "STRING": "string_data",
}  # fmt: skip


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
        if tensor.data_location != onnx.TensorProto.EXTERNAL:
            _check_inline(label, tensor, nbytes)
            places.append(None)
            continue
        place = _payload_place(tensor, len(payloads))
        if place is not None:
            _check_payload(label, tensor, payloads[place], nbytes)
            places.append(place)
            continue
        if tensor.data_type == onnx.TensorProto.STRING:
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
    try:
        dtype = ir.DataType(tensor.data_type)
    except ValueError:
        dtype = ir.DataType.UNDEFINED
    if dtype == ir.DataType.UNDEFINED:
        raise InputError(f"the tensor {label} has the unknown element type {tensor.data_type}", "export again")
    if any(d < 0 for d in tensor.dims):
        raise InputError(f"the tensor {label} has a negative dimension: {list(tensor.dims)}", "export the model again")
    elements = math.prod(map(int, tensor.dims))
    if dtype == ir.DataType.STRING:
        return 0
    nbytes: int = -(-elements * dtype.bitwidth // 8)
    if nbytes > MAX_BYTES:
        raise InputError(f"the tensor {label} claims {nbytes} bytes", "export the model again")
    return nbytes


def _field(tensor: onnx.TensorProto) -> str:
    return _FIELDS.get(ir.DataType(tensor.data_type).name, _INT32)


def _numbers(tensor: onnx.TensorProto, nbytes: int) -> int:
    """How many numbers the typed field must hold."""
    dtype = ir.DataType(tensor.data_type)
    elements = math.prod(map(int, tensor.dims))
    if dtype in (ir.DataType.COMPLEX64, ir.DataType.COMPLEX128):
        return 2 * elements
    return elements if dtype == ir.DataType.STRING or dtype.bitwidth >= 8 else nbytes


def _check_inline(label: str, tensor: onnx.TensorProto, nbytes: int) -> None:
    field = _field(tensor)
    if tensor.HasField("raw_data"):
        if field == "string_data":
            raise InputError(f"the tensor {label} stores strings as raw data", "export the model again")
        if len(tensor.raw_data) != nbytes:
            raise _mismatch(label, tensor, f"{len(tensor.raw_data)} bytes", f"{nbytes}")
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
    if payload.field != "raw_data" and payload.field != _field(tensor):
        raise _mismatch(label, tensor, f"{payload.field}", _field(tensor))
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
