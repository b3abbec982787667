from __future__ import annotations

import io

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from rooftune.execute.frames import Frame, FrameError, encode, read_frame


def through(frame: Frame) -> Frame:
    stream = io.BytesIO(b"".join(encode(frame)))
    received = read_frame(stream.read)
    assert stream.read() == b""
    return received


@given(arrays_of.arrays(arrays_of.scalar_dtypes(), arrays_of.array_shapes(min_dims=0, min_side=0)))
def test_arrays_keep_their_bytes_type_and_shape(array: np.ndarray) -> None:
    if array.dtype.kind in "mM" or array.dtype.byteorder == ">":
        return
    got = through(Frame({}, {"x": array})).arrays["x"]
    assert got.dtype == array.dtype and got.shape == array.shape and got.tobytes() == array.tobytes()


@pytest.mark.parametrize("dtype", ["bfloat16", "float8_e4m3fn", "int4"])
def test_small_types_pass(dtype: str) -> None:
    array = np.array([1, 2, 3]).astype(getattr(ml_dtypes, dtype))
    got = through(Frame({}, {"x": array})).arrays["x"]
    assert got.dtype == array.dtype and (got == array).all()


def test_text_passes() -> None:
    got = through(Frame({}, {"x": np.array([["a", "bc"]], dtype=object)})).arrays["x"]
    assert got.tolist() == [["a", "bc"]]


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_bodies_pass(body: dict) -> None:
    assert through(Frame(body)).body == body


def test_absurd_lengths_allocate_nothing() -> None:
    with pytest.raises(FrameError):
        read_frame(io.BytesIO(b"\xff" * 16).read)


def test_a_missing_payload_is_noticed() -> None:
    header = b'{"body": {}, "arrays": [{"name": "x", "shape": [1000], "dtype": "float32"}]}'
    raw = len(header).to_bytes(8, "little") + (4).to_bytes(8, "little") + header + b"abcd"
    with pytest.raises(FrameError, match="missing"):
        read_frame(io.BytesIO(raw).read)
