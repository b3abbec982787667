"""Taps on padding: counted one by one, and weighed by a real engine (a convolution of ones adds up its real taps)."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper

from rooftune.ops import TensorType, Work, work_of
from rooftune.ops.windows import taps_inside, window_taps
from rooftune.quantities import DType, symbol

SIZES = st.integers(1, 9)
KERNELS = st.integers(1, 4)
STRIDES = st.integers(1, 3)
DILATIONS = st.integers(1, 3)
PADS = st.integers(0, 4)


@st.composite
def windows(draw: st.DrawFn, rank: int) -> dict[str, Any]:
    """Sizes of a grouped convolution with `rank` spatial axes."""

    def each(values: st.SearchStrategy[int]) -> list[int]:
        return [draw(values) for _ in range(rank)]

    return {
        "sizes": each(SIZES),
        "kernel": each(KERNELS),
        "strides": each(STRIDES),
        "dilations": each(DILATIONS),
        "pads": each(PADS) + each(PADS),
        "group": draw(st.integers(1, 2)),
        "channels": draw(st.integers(1, 2)),
        "batch": draw(st.integers(1, 2)),
    }


def run(op_type: str, x: list[int], w: list[int], attributes: dict[str, Any]) -> np.ndarray:
    """The operator on ones, in ONNX Runtime."""
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x", "w"], ["y"], **attributes)],
        "ones",
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in (("x", x), ("w", w))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    (y,) = session.run(None, {"x": np.ones(x, np.float32), "w": np.ones(w, np.float32)})
    return y


def work(op_type: str, x: list[int], w: list[int], y: tuple[int, ...], attributes: dict[str, Any]) -> Work:
    types = [TensorType(DType.FLOAT32, tuple(shape)) for shape in (x, w, y)]
    found = work_of("", op_type, attributes, types[:2], types[2:])
    assert isinstance(found, Work), found
    return found


def check(op_type: str, x: list[int], w: list[int], attributes: dict[str, Any]) -> None:
    """What the formula says is executed is what the engine added up."""
    y = run(op_type, x, w, attributes)
    found = work(op_type, x, w, y.shape, attributes)
    assert found.macs - found.padding_macs == round(float(y.sum(dtype=np.float64)))


@given(SIZES, KERNELS, STRIDES, DILATIONS, PADS, PADS)
def test_taps_of_one_axis_one_by_one(size: int, kernel: int, stride: int, dilation: int, front: int, back: int) -> None:
    padded = size + front + back
    span = (kernel - 1) * dilation + 1
    assume(padded >= span)
    out = (padded - span) // stride + 1
    expected = sum(
        1
        for o, tap in itertools.product(range(out), range(kernel))
        if front <= o * stride + tap * dilation < front + size
    )
    assert taps_inside(size, out, kernel, stride, dilation, front) == expected


@settings(max_examples=40, deadline=None)
@given(KERNELS, STRIDES, DILATIONS, PADS, SIZES)
def test_open_sizes_agree_with_numbers(kernel: int, stride: int, dilation: int, front: int, size: int) -> None:
    height = symbol("H")
    span = (kernel - 1) * dilation + 1
    assume(size + 2 * front >= span)
    open_out = (height + 2 * front - span) // stride + 1
    taps: Any = taps_inside(height, open_out, kernel, stride, dilation, front)
    out = (size + 2 * front - span) // stride + 1
    assert taps.subs(height, size) == taps_inside(size, out, kernel, stride, dilation, front)


@pytest.mark.parametrize("rank", [1, 2, 3])
def test_conv_executes_what_the_engine_adds_up(rank: int) -> None:
    @settings(max_examples=30, deadline=None)
    @given(windows(rank))
    def holds(window: dict[str, Any]) -> None:
        for axis in range(rank):
            padded = window["sizes"][axis] + window["pads"][axis] + window["pads"][rank + axis]
            assume(padded >= (window["kernel"][axis] - 1) * window["dilations"][axis] + 1)
        x = [window["batch"], window["group"] * window["channels"], *window["sizes"]]
        w = [window["group"] * 2, window["channels"], *window["kernel"]]
        check("Conv", x, w, {key: window[key] for key in ("strides", "dilations", "pads", "group")})

    holds()


@settings(max_examples=60, deadline=None)
@given(windows(2), st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
def test_conv_with_auto_pad(window: dict[str, Any], auto_pad: str) -> None:
    if auto_pad == "VALID":
        for size, kernel, dilation in zip(window["sizes"], window["kernel"], window["dilations"]):
            assume(size >= (kernel - 1) * dilation + 1)
    else:
        window["dilations"] = [1, 1]  # the engine refuses a dilated SAME; see the next test
    x = [window["batch"], 2, *window["sizes"]]
    w = [3, 2, *window["kernel"]]
    attributes = {"auto_pad": auto_pad, "strides": window["strides"], "dilations": window["dilations"]}
    check("Conv", x, w, attributes)


@given(SIZES, KERNELS, STRIDES, DILATIONS, st.sampled_from(["SAME_UPPER", "SAME_LOWER"]))
def test_dilated_conv_with_auto_pad(size: int, kernel: int, stride: int, dilation: int, auto_pad: str) -> None:
    out = -(-size // stride)
    total = max(0, (out - 1) * stride + (kernel - 1) * dilation + 1 - size)
    # the odd element goes behind for SAME_UPPER, in front for SAME_LOWER
    front = [False] * (total // 2 if auto_pad == "SAME_UPPER" else total - total // 2)
    real = front + [True] * size + [False] * total
    expected = sum(real[o * stride + tap * dilation] for o in range(out) for tap in range(kernel))
    attributes = {"auto_pad": auto_pad, "strides": [stride], "dilations": [dilation]}
    found = work("Conv", [1, 1, size], [1, 1, kernel], (1, 1, out), attributes)
    assert found.macs - found.padding_macs == expected


@settings(max_examples=60, deadline=None)
@given(windows(2), st.integers(0, 1))
def test_transposed_conv_executes_what_the_engine_adds_up(window: dict[str, Any], extra: int) -> None:
    for axis in range(2):
        assume(extra < window["strides"][axis])
        span = (window["kernel"][axis] - 1) * window["dilations"][axis] + 1
        full = window["strides"][axis] * (window["sizes"][axis] - 1) + span + extra
        assume(full - window["pads"][axis] - window["pads"][2 + axis] >= 1)
    x = [window["batch"], window["group"] * window["channels"], *window["sizes"]]
    w = [window["group"] * window["channels"], 2, *window["kernel"]]
    attributes = {key: window[key] for key in ("strides", "dilations", "pads", "group")}
    check("ConvTranspose", x, w, {**attributes, "output_padding": [extra, extra]})


@settings(max_examples=60, deadline=None)
@given(windows(2), st.sampled_from(["SAME_UPPER", "SAME_LOWER", "NOTSET"]), st.integers(0, 3))
def test_transposed_conv_cropped_to_a_size(window: dict[str, Any], auto_pad: str, crop: int) -> None:
    spans = [(k - 1) * d + 1 for k, d in zip(window["kernel"], window["dilations"])]
    full = [s * (n - 1) + span for s, n, span in zip(window["strides"], window["sizes"], spans)]
    assume(min(full) > crop)
    x = [1, 2, *window["sizes"]]
    w = [2, 3, *window["kernel"]]
    attributes = {"auto_pad": auto_pad, "strides": window["strides"], "dilations": window["dilations"]}
    check("ConvTranspose", x, w, {**attributes, "output_shape": [n - crop for n in full]})


@settings(max_examples=40, deadline=None)
@given(windows(2), st.sampled_from(["SAME_UPPER", "SAME_LOWER", "VALID"]))
def test_transposed_conv_with_auto_pad(window: dict[str, Any], auto_pad: str) -> None:
    x = [1, 2, *window["sizes"]]
    w = [2, 3, *window["kernel"]]
    for kernel, stride, dilation in zip(window["kernel"], window["strides"], window["dilations"]):
        assume((kernel - 1) * dilation + 1 >= stride)
    attributes = {"auto_pad": auto_pad, "strides": window["strides"], "dilations": window["dilations"]}
    check("ConvTranspose", x, w, attributes)


@given(st.integers(1, 12), st.integers(1, 5), st.booleans())
def test_causal_conv_pads_in_front_only(length: int, kernel: int, past: bool) -> None:
    shapes = {"x": (2, 3, length), "w": (3, 1, kernel), "past": (2, 3, kernel - 1)}
    types = {name: TensorType(DType.FLOAT32, shape) for name, shape in shapes.items()}
    inputs = [types["x"], types["w"], None, types["past"] if past else None]
    found = work_of("", "CausalConvWithState", {}, inputs, [types["x"], types["past"]])
    assert isinstance(found, Work)
    missing = 0 if past else sum(1 for o, tap in itertools.product(range(length), range(kernel)) if o - tap < 0)
    assert (found.macs, found.padding_macs) == (6 * length * kernel, 6 * missing)


def test_pooling_without_a_kernel_is_refused() -> None:
    with pytest.raises(ValueError, match="kernel_shape"):
        window_taps([])
