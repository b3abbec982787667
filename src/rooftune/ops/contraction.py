"""Contraction of tensors by an Einstein equation: which labels are summed when, and what that costs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

from rooftune.ops.types import Work
from rooftune.quantities import Count, Dim, product

__all__ = ["contract"]


def contract(equation: str, shapes: Sequence[Sequence[Dim]]) -> Work:
    """Work of an Einstein sum, operands taken two at a time from the left.

    A label that only one operand still has is summed before the product (adds); a product that sums labels is a matrix
    multiplication (MACs: the product of the sizes of all its labels), one that sums none multiplies elementwise.
    Raises ValueError where the equation does not fit the shapes.
    """
    terms, result = _parse(equation, shapes)
    macs: Count = 0
    elementwise: dict[str, Count] = {"mul": 0, "add": 0}
    sizes: dict[str, Dim] = {}
    for place, (labels, shape) in enumerate(zip(terms, shapes, strict=True)):
        wanted = set(result).union(*terms[place + 1 :])
        fresh = _sizes(labels, shape)
        # labels of the new operand that neither the product so far nor anything later has
        alone = set(fresh) - set(sizes) - wanted
        if alone:
            elementwise["add"] += product(fresh.values())
            fresh = {label: size for label, size in fresh.items() if label not in alone}
        if place == 0:
            sizes = fresh
            continue
        # what only the product so far has was wanted by an earlier term and is not any more
        gone = set(sizes) - set(fresh) - wanted
        if gone:
            elementwise["add"] += product(sizes.values())
            sizes = {label: size for label, size in sizes.items() if label not in gone}
        joint = {label: _broadcast(sizes.get(label, 1), fresh.get(label, 1)) for label in {**sizes, **fresh}}
        summed = set(joint) - wanted
        if summed:
            macs = macs + product(joint.values())
        else:
            elementwise["mul"] += product(joint.values())
        sizes = {label: size for label, size in joint.items() if label not in summed}
    return Work(macs=macs, elementwise=elementwise)


def _parse(equation: str, shapes: Sequence[Sequence[Dim]]) -> tuple[list[list[str]], list[str]]:
    """Labels of every operand and of the result; under an ellipsis `.1` is the last dimension, and so on."""
    left, arrow, right = equation.replace(" ", "").partition("->")
    texts = left.split(",")
    if len(texts) != len(shapes):
        raise ValueError(f"{len(texts)} terms for {len(shapes)} operands")
    hidden = [len(shape) - len(text.replace("...", "")) for text, shape in zip(texts, shapes)]
    widest = max((n for n, text in zip(hidden, texts) if "..." in text), default=0)
    terms = [_labels(text, n) for text, n in zip(texts, hidden)]
    if arrow:
        return terms, _labels(right, widest)
    # without an arrow the result has the ellipsis and the labels that occur once, in order
    counts = Counter(left.replace("...", "").replace(",", ""))
    return terms, _labels("...", widest) + sorted(label for label, n in counts.items() if n == 1)


def _labels(text: str, hidden: int) -> list[str]:
    if not re.fullmatch(r"[A-Za-z]*(\.\.\.)?[A-Za-z]*", text):
        raise ValueError(f"{text!r} is no term of an equation")
    before, ellipsis, after = text.partition("...")
    inside = [f".{n}" for n in range(hidden, 0, -1)] if ellipsis else []
    return [*before, *inside, *after]


def _sizes(labels: Sequence[str], shape: Sequence[Dim]) -> dict[str, Dim]:
    """Size of every label; a label that occurs twice in one operand is its diagonal."""
    if len(labels) != len(shape):
        raise ValueError(f"{len(labels)} labels for {len(shape)} dimensions")
    return dict(zip(labels, shape))


def _broadcast(a: Dim, b: Dim) -> Dim:
    return b if a == 1 else a
