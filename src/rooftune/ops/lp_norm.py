"""The Lp norm: (Σ |x|ᵖ) to the power of 1/p."""

from __future__ import annotations

from rooftune.quantities import Count

__all__ = ["lp_norm"]


def lp_norm(elements: Count, norms: Count, p: float) -> dict[str, Count]:
    """Elementwise operations of `norms` norms over `elements` elements in all; a sum of k elements is k adds."""
    if p == 1:
        return {"compare": elements, "add": elements}  # absolute value, sum
    if p == 2:
        return {"mul": elements, "add": elements, "sqrt": norms}
    return {"compare": elements, "pow": elements + norms, "add": elements}
