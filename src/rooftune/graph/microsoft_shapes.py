"""Shapes of operators that ONNX Runtime puts into its optimised models (domain com.microsoft)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import onnx_ir as ir

from rooftune.graph.open_shapes import RULES, Dims, Rule, broadcast
from rooftune.graph.small_values import attribute

__all__ = ["MICROSOFT", "element_type"]


def _same(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims]:
    return [shapes[0]]


def _broadcast(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims]:
    return [broadcast(shapes[:2])]


def _quantized_broadcast(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims]:
    return [broadcast([shapes[0], shapes[3]])]


def _fused_matmul(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    left, right = shapes[0], shapes[1]
    if not left or not right:
        return None
    if attribute(node, "transA", 0) and len(left) > 1:
        left = (*left[:-2], left[-1], left[-2])
    if attribute(node, "transB", 0) and len(right) > 1:
        right = (*right[:-2], right[-1], right[-2])
    return RULES["MatMul"](node, [left, right], values)


def _fused_gemm(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    left, right = shapes[0], shapes[3] if node.op_type == "QGemm" else shapes[1]
    if left is None or right is None or len(left) != 2 or len(right) != 2:
        return None
    return [(left[1 if attribute(node, "transA", 0) else 0], right[0 if attribute(node, "transB", 0) else 1])]


def _skip_normalised(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    """The normalised sum, the mean and deviation nobody asks for, and the sum itself."""
    data = shapes[0]
    if not data:
        return None
    reduced = (*data[:-1], 1)
    return [data, reduced, reduced, data]


def _blocked_matmul(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    columns = attribute(node, "N")
    return None if not shapes[0] or columns is None else [(*shapes[0][:-1], columns)]


def _attention(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    data, bias = shapes[0], shapes[2] if len(shapes) > 2 else None
    if data is None or len(data) != 3:
        return None
    sizes = attribute(node, "qkv_hidden_sizes")
    hidden = sizes[2] if sizes else bias[0] // 3 if bias else data[2]
    return [(*data[:2], hidden)]


def _multi_head_attention(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    query, value = shapes[0], shapes[2] if len(shapes) > 2 else None
    if query is None or len(query) != 3:
        return None
    return [(*query[:2], value[2] if value is not None and len(value) == 3 else query[2])]


def _global_pool(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    data = shapes[0]
    if data is None or len(data) < 3:
        return None
    ones = (1,) * (len(data) - 2)
    return [(data[0], *ones, data[-1]) if attribute(node, "channels_last", 0) else (*data[:2], *ones)]


def _embed(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    tokens, table = shapes[0], shapes[2]
    if tokens is None or table is None or len(tokens) != 2:
        return None
    data = (*tokens, table[1])
    return [data, (tokens[0],), data]


def _channels_last(rule: Rule) -> Rule:
    """The rule of an operator whose data have their channels last."""

    def apply(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
        data = shapes[0]
        if data is None:
            return None
        found = rule(node, [(data[0], data[-1], *data[1:-1]), *shapes[1:]], values)
        return None if found is None else [None if s is None else (s[0], *s[2:], s[1]) for s in found]

    return apply


def _concat_quantized(node: ir.Node, shapes: Sequence[Dims], values: Sequence[Any]) -> Sequence[Dims] | None:
    return RULES["Concat"](node, shapes[2::3], values[2::3])


_SAME = (
    "BiasDropout", "BiasGelu", "BiasSoftmax", "BiasSplitGelu", "DequantizeLinear", "FastGelu", "FusedElementwise",
    "Gelu", "GroupNorm", "Inverse", "LayerNormalization", "NhwcFusedGelu", "QLinearLeakyRelu", "QLinearSigmoid",
    "QLinearSoftmax", "QuantizeLinear", "QuickGelu", "RotaryEmbedding", "SimplifiedLayerNormalization", "SkipGroupNorm",
)  # fmt: skip

MICROSOFT: dict[str, Rule] = {
    **dict.fromkeys(_SAME, _same),
    "Attention": _attention,
    "BiasAdd": _broadcast,
    "Conv": RULES["Conv"],
    "DynamicQuantizeMatMul": RULES["MatMul"],
    "EmbedLayerNormalization": _embed,
    "FusedConv": RULES["Conv"],
    "FusedGemm": _fused_gemm,
    "FusedMatMul": _fused_matmul,
    "FusedMatMulActivation": _fused_matmul,
    "GroupQueryAttention": _multi_head_attention,
    "MatMulInteger16": RULES["MatMul"],
    "MatMulIntegerToFloat": RULES["MatMul"],
    "MatMulNBits": _blocked_matmul,
    "MaxPool": RULES["MaxPool"],
    "MultiHeadAttention": _multi_head_attention,
    "NhwcMaxPool": _channels_last(RULES["MaxPool"]),
    "QAttention": _attention,
    "QGemm": _fused_gemm,
    "QLinearAdd": _quantized_broadcast,
    "QLinearAveragePool": RULES["AveragePool"],
    "QLinearConcat": _concat_quantized,
    "QLinearConv": RULES["QLinearConv"],
    "QLinearGlobalAveragePool": _global_pool,
    "QLinearMul": _quantized_broadcast,
    "SkipLayerNormalization": _skip_normalised,
    "SkipSimplifiedLayerNormalization": _skip_normalised,
    "TransposeMatMul": _fused_matmul,
}

_TYPED_BY = {
    "DequantizeLinear": 1, "EmbedLayerNormalization": 2, "MatMulIntegerToFloat": 2, "QAttention": 3,
    "QEmbedLayerNormalization": 6, "QLinearConcat": 1, "QuantizeLinear": 2,
}  # fmt: skip
"""Operators whose outputs have the element type of another input than the first: scale, zero point or table."""


def element_type(node: ir.Node) -> ir.DataType | None:
    """Element type of the outputs of a com.microsoft operator; None where it is not known."""
    place = _TYPED_BY.get(node.op_type, 0)
    if node.op_type == "QGemm" and (len(node.inputs) < 8 or node.inputs[7] is None):
        return ir.DataType.FLOAT  # without a scale for the output nothing is quantised again
    source = node.inputs[place] if place < len(node.inputs) else None
    if source is None:
        return ir.DataType.UINT8 if node.op_type == "QuantizeLinear" else None
    return source.dtype
