"""Damaged models either load or are refused; they never crash, hang or eat memory."""

from __future__ import annotations

import resource
import time
from functools import lru_cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx.backend.test.loader import load_model_tests

from models import convolution
from rooftune.errors import InputError
from rooftune.graph.load import load

NAMES = (
    "test_if",
    "test_loop11",
    "test_scan_sum",
    "test_slice",
    "test_einsum_batch_matmul",
    "test_resize_upsample_scales_cubic",
    "test_range_int32_type_negative_delta_expanded",
    "test_attention_4d_causal_expanded",
    "test_split_to_sequence_1",
    "test_sequence_map_identity_1_sequence",
    "test_optional_get_element_sequence",
    "test_gru_defaults",
)


@lru_cache(maxsize=1)
def originals() -> list[bytes]:
    found = [t.model.SerializeToString() for t in load_model_tests(kind="node") if t.name in NAMES]
    assert len(found) == len(NAMES)
    return [convolution().SerializeToString(), *found]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    content = bytearray(draw(st.sampled_from(originals())))
    kind = draw(st.sampled_from(("cut", "flip", "flip", "flip", "delete", "repeat")))
    places = st.integers(0, len(content) - 1)
    if kind == "cut":
        return bytes(content[: draw(places)])
    if kind == "flip":
        for _ in range(draw(st.integers(1, 4))):
            content[draw(places)] = draw(st.integers(0, 255))
        return bytes(content)
    start, length, to = draw(places), draw(st.integers(1, 30)), draw(places)
    if kind == "delete":
        del content[start : start + length]
    else:
        content[to:to] = content[start : start + length]
    return bytes(content)


def survive(content: bytes, folder: Path) -> None:
    path = folder / "damaged.onnx"
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start = time.process_time()
    try:
        load(path)
    except InputError as why:
        assert str(why).isprintable()
    assert time.process_time() - start < 5
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200_000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=damaged())
def test_damaged_models(content: bytes, tmp_path: Path) -> None:
    survive(content, tmp_path)


@pytest.mark.slow
@settings(max_examples=5000, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=damaged())
def test_damaged_models_sweep(content: bytes, tmp_path: Path) -> None:
    survive(content, tmp_path)
