"""Pads, pairs of convolutions and convolutions of joined channels at random: rewritten or not, the same answer."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import onnx_ir as ir
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rooftune.graph.model import Model
from rooftune.graph.text import graph_lines, model_of_text
from rooftune.rewrite.engine import Rewritten, rewrite
from rooftune.rewrite.order import all_steps
from rooftune.rewrite.rule import Rule
from rooftune.rewrite.rules.merge_pointwise_convs import MergePointwiseConvs
from rooftune.rewrite.rules.split_conv_over_concat import SplitConvOverConcat
from tests.rewrite.running import random_feed, run_model, valid

SETTINGS = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


class MergeAlways(MergePointwiseConvs):
    """Merge whether it pays or not."""

    must_pay = False


class SplitAlways(SplitConvOverConcat):
    """Split whether it pays or not."""

    must_pay = False


def same_answer(before: Model, rules: list[Any]) -> Rewritten:
    found = rewrite(before, rules)
    valid(found.model)
    with TemporaryDirectory() as folder:
        for expected, answer in run_model(before, found.model, random_feed(before, 0), Path(folder)).values():
            assert expected.shape == answer.shape
            scale = max(1.0, float(np.abs(expected).max(initial=0.0)))
            assert np.abs(expected - answer).max(initial=0.0) <= 1e-5 * scale, graph_lines(found.model)
    return found


def text_of(attributes: dict[str, Any]) -> str:
    return "<" + ", ".join(f"{k}={v}" for k, v in attributes.items()) + ">" if attributes else ""


@st.composite
def padded(draw: st.DrawFn) -> tuple[str, int]:
    opset = draw(st.sampled_from([8, 10, 12, 20]))
    pads = [*[0, 0], *draw(st.lists(st.integers(0, 2), min_size=2, max_size=2))] * 2
    pads[draw(st.integers(0, 7))] = draw(st.sampled_from([0, 0, 0, 1, -1]))
    sizes = [2 + pads[1] + pads[5], 6 + pads[2] + pads[6], 6 + pads[3] + pads[7]]
    mode = draw(st.sampled_from(["constant", "constant", "constant", "edge"]))
    window: dict[str, Any] = {"strides": draw(st.sampled_from(["[1,1]", "[2,1]"]))}
    auto = draw(st.sampled_from(["NOTSET", "NOTSET", "VALID", "SAME_UPPER"]))
    if auto != "NOTSET":
        window["auto_pad"] = f'"{auto}"'
    elif draw(st.booleans()):
        window["pads"] = draw(st.sampled_from(["[1,0,1,0]", "[0,1,1,0]"]))
    op = draw(st.sampled_from(["Conv", "AveragePool", "MaxPool"]))
    weights = ""
    if op == "Conv":
        weights = f"float[3,{sizes[0]},2,2] w"
        node = f"y = Conv{text_of(window)}(a, w)"
    else:
        window["kernel_shape"] = draw(st.sampled_from(["[2,2]", "[3,2]"]))
        if opset >= 10 and draw(st.integers(0, 3)) == 0 and auto == "NOTSET":
            window["ceil_mode"] = 1
        if op == "AveragePool":
            window["count_include_pad"] = draw(st.integers(0, 1))
        node = f"y = {op}{text_of(window)}(a)"
    value = (
        draw(st.sampled_from(["0", "0", "0", "1", "-inf"])) if op != "MaxPool" else draw(st.sampled_from(["0", "1"]))
    )
    source = draw(st.sampled_from(["x", "r"])) if value == "0" else "x"
    written = ",".join(map(str, pads))
    if opset < 11:
        value = "0" if value == "-inf" else value
        pad = f'a = Pad<mode="{mode}", pads=[{written}], value={value}.0>({source})'
    else:
        value = "1" if value == "-inf" else value
        weights += f"{', ' if weights else ''}int64[8] p = {{{written}}}, float v = {{{value}}}"
        pad = f'a = Pad<mode="{mode}">({source}, p, v)'
    declared = f"<{weights}>" if weights else ""
    return f"(float[2,2,6,6] x) => (float[A,B,C,D] y) {declared} {{ r = Relu(x) {pad} {node} }}", opset


@SETTINGS
@given(padded())
def test_pads(drawn: tuple[str, int]) -> None:
    text, opset = drawn
    same_answer(model_of_text(text, opset=opset), [all_steps()[f"fold_pad_into_{kind}"] for kind in ("conv", "pool")])


def test_minus_infinity_into_max_pool() -> None:
    text = """(float[1,3,6,6] x) => (float[1,3,3,3] y) <int64[8] p = {0,0,1,1,0,0,1,1}, float v = {0}>
        { a = Pad(x, p, v) y = MaxPool<kernel_shape=[3,3], strides=[2,2]>(a) }"""
    model = model_of_text(text)
    model.ir.graph.initializers["v"].const_value = ir.tensor(np.float32(-np.inf), name="v")
    found = same_answer(model, [all_steps()["fold_pad_into_pool"]])
    assert graph_lines(found.model) == ["y = MaxPool<kernel_shape=[3,3], pads=[1,1,1,1], strides=[2,2]>(x)"]


@st.composite
def pairs(draw: st.DrawFn) -> str:
    kernels = draw(st.sampled_from([(1, 1), (1, 3), (3, 1), (2, 2)]))
    texts, inner = [], draw(st.sampled_from(["", ", b1", ", zero"]))
    for kernel in kernels:
        attributes: dict[str, Any] = {}
        how = draw(st.sampled_from(["", "", "pads", "auto", "strides", "dilations"]))
        if how == "pads":
            attributes["pads"] = "[1,0,0,1]"
        elif how == "auto":
            attributes["auto_pad"] = '"SAME_LOWER"'
        elif how:
            attributes[how] = "[2,1]"
        if draw(st.booleans()):
            attributes["kernel_shape"] = f"[{kernel},{kernel}]"
        texts.append(text_of(attributes))
    outer = draw(st.sampled_from(["", ", b2"]))
    return f"""(float[2,3,12,12] x) => (float[A,B,C,D] y)
        <float[4,3,{kernels[0]},{kernels[0]}] w1, float[4] b1, float[4] zero = {{0,0,0,0}},
        float[5,4,{kernels[1]},{kernels[1]}] w2, float[5] b2>
        {{ c = Conv{texts[0]}(x, w1{inner}) y = Conv{texts[1]}(c, w2{outer}) }}"""


@SETTINGS
@given(pairs())
def test_pairs_of_convolutions(text: str) -> None:
    same_answer(model_of_text(text), [MergeAlways()])


@st.composite
def joined(draw: st.DrawFn) -> str:
    kinds = draw(st.lists(st.sampled_from(["plain", "constant", "expand", "resize"]), min_size=2, max_size=4))
    inputs, weights, nodes, names, channels = [], [], [], [], 0
    for i, kind in enumerate(kinds):
        c = draw(st.integers(1, 3))
        channels += c
        names.append(f"p{i}")
        if kind == "constant":
            weights.append(f"float[2,{c},5,4] p{i}")
        elif kind == "plain":
            inputs.append(f"float[2,{c},5,4] p{i}")
        else:
            batch = draw(st.sampled_from([1, 2])) if kind == "expand" else 2
            inputs.append(f"float[{batch},{c},1,1] q{i}")
            if kind == "expand":
                weights.append(f"int64[4] s{i} = {{2,{c},5,4}}")
                nodes.append(f"p{i} = Expand(q{i}, s{i})")
            else:
                weights.append(f"float[4] s{i} = {{1,1,5,4}}")
                nodes.append(f'p{i} = Resize<mode="{draw(st.sampled_from(["nearest", "linear"]))}">(q{i}, , s{i})')
    kernel, bias = draw(st.integers(1, 2)), draw(st.sampled_from(["", ", b"]))
    attributes = draw(st.sampled_from(["", "<strides=[2,1]>", "<pads=[1,1,0,0]>", '<auto_pad="SAME_UPPER">']))
    weights += [f"float[4,{channels},{kernel},{kernel}] w", "float[4] b"]
    inputs = inputs or ["float[1] unused"]
    return f"""({", ".join(inputs)}) => (float[A,B,C,D] y) <{", ".join(weights)}>
        {{ {" ".join(nodes)} c = Concat<axis={draw(st.sampled_from([1, -3]))}>({", ".join(names)})
           y = Conv{attributes}(c, w{bias}) }}"""


@SETTINGS
@given(joined())
def test_convolutions_of_joined_channels(text: str) -> None:
    same_answer(model_of_text(text), [SplitAlways()])


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (
            "fold_batchnorm_before_conv",
            """(float[1,128,4,4] x) => (float[1,128,2,2] y) <float[128,128,3,3] w, float[128] b, float[128] scale,
            float[128] shift, float[128] mean, float[128] var>
            { n = BatchNormalization(x, scale, shift, mean, var) y = Conv(n, w, b) }""",
        ),
        (
            "fold_scale_into_conv",
            """(float[1,128,4,4] x) => (float[1,128,2,2] y) <float[128,128,3,3] w, float[128,1,1] k>
            { c = Conv(x, w) y = Mul(c, k) }""",
        ),
        (
            "fold_shift_into_gemm",
            """(float[4,300] x) => (float[4,300] y) <float[300,300] w, float[300] k>
            { s = Add(x, k) y = Gemm(s, w) }""",
        ),
        (
            "merge_pointwise_convs",
            """(float[1,16,9,9] x) => (float[1,64,7,7] y) <float[512,16,3,3] w, float[512] b, float[64,512,1,1] v>
            { c = Conv(x, w, b) y = Conv(c, v) }""",
        ),
    ],
)
def test_large_weights_are_worked_out_later(rule: str, text: str) -> None:
    step = all_steps()[rule]
    assert isinstance(step, Rule)
    found = same_answer(model_of_text(text), [step])
    assert len(found.journal.applied) == 1


def test_shared_weight_is_not_stored_twice() -> None:
    text = """(float[1,128,4,4] x) => (float[1,128,2,2] y, float[1,128,2,2] z) <float[128,128,3,3] w, float k = {2}>
        { c = Conv(x, w) y = Mul(c, k) z = Conv(x, w) }"""
    found = same_answer(model_of_text(text), [all_steps()["fold_scale_into_conv"]])
    assert [r.reason for r in found.journal.refused] == ["the weight w is shared and would be stored twice"]
