"""Functions of vectors, written out: no call leaves the kernel."""

from __future__ import annotations

from rooftune.compiler.emit.function import Function, Value

__all__ = ["EXPONENTIAL_ERROR", "exponential"]

EXPONENTIAL_ERROR = 2.0
"""Units in the last place by which `exponential` may be off."""

_LOWEST, _HIGHEST = -87.3, 88.3  # beyond these the result is no normal number; it stays at the nearest one
_LOG2_E = 1.4426950408889634
_LN2_HIGH, _LN2_LOW = 0.693359375, -2.12194440e-4  # the high part has few digits: its multiples are exact
_TAYLOR = (1 / 5040, 1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0)


def exponential(code: Function, x: Value) -> Value:
    """e to the power of every lane, within 2 units in the last place; what is not a number stays so.

    x = n·ln 2 + r with |r| ≤ ln(2)/2; a polynomial for r (Cody and Waite 1980), n added to the exponent.
    """
    lanes, kind = code.lanes, x.kind
    bounded = code.extreme("min", code.extreme("max", x, _LOWEST), _HIGHEST)
    number = code.call(f"llvm.rint.v{lanes}f32", kind, (code.arithmetic("fmul", bounded, _LOG2_E), kind))
    rest = code.fma(number, -_LN2_HIGH, bounded)
    rest = code.fma(number, -_LN2_LOW, rest)
    total = code.arithmetic("fmul", rest, _TAYLOR[0])
    for coefficient in _TAYLOR[1:-1]:
        total = code.arithmetic("fmul", code.arithmetic("fadd", total, coefficient), rest)
    total = code.arithmetic("fadd", total, _TAYLOR[-1])
    whole = f"<{lanes} x i32>"
    # a lane that is not a number has no exponent to speak of: any will do
    exponent = code.call(f"llvm.fptosi.sat.v{lanes}i32.v{lanes}f32", whole, (number, kind))
    shifted = code.emit(whole, f"shl {whole} {exponent.name}, splat (i32 23)")
    bits = code.emit(whole, f"bitcast {kind} {total.name} to {whole}")
    sum_ = code.emit(whole, f"add {whole} {bits.name}, {shifted.name}")
    found = code.emit(kind, f"bitcast {whole} {sum_.name} to {kind}")
    odd = code.emit(f"<{lanes} x i1>", f"fcmp uno {kind} {x.name}, {x.name}")
    return code.emit(kind, f"select <{lanes} x i1> {odd.name}, {kind} {x.name}, {kind} {found.name}")
