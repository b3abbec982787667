"""Operators whose output element needs only the input elements at its own place."""

from __future__ import annotations

__all__ = ["ELEMENTWISE", "UNARY"]

UNARY = frozenset(
    """Abs Acos Acosh Asin Asinh Atan Atanh BitwiseNot Cast Ceil Celu Clip Cos Cosh Elu Erf Exp Floor Gelu
    HardSigmoid HardSwish IsInf IsNaN LeakyRelu Log Mish Neg Not QuantizeLinear DequantizeLinear Reciprocal Relu
    Round Selu Shrink Sigmoid Sign Sin Sinh Softplus Softsign Sqrt Swish Tan Tanh ThresholdedRelu FastGelu
    QuickGelu""".split()
)
"""Operators of one tensor (bounds, scales and the like are constants)."""

ELEMENTWISE = UNARY | frozenset(
    """Add And BitShift BitwiseAnd BitwiseOr BitwiseXor Div Equal Greater GreaterOrEqual Less LessOrEqual Max Mean
    Min Mod Mul Or PRelu Pow Sub Sum Where Xor BiasGelu BatchNormalization""".split()
)
"""Unary operators and those that combine tensors element by element (BatchNormalization at inference too)."""
