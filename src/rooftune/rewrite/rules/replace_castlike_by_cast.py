"""A CastLike whose target type is known is a Cast."""

from __future__ import annotations

from rooftune.rewrite.builder import Builder
from rooftune.rewrite.match import Match
from rooftune.rewrite.rule import Example, Replacement, Rule
from rooftune.verdicts import Exactness, Refusal


class ReplaceCastlikeByCast(Rule):
    """Replace a CastLike by a Cast to the type it would find, so that constants can be folded.

    PyTorch's exporter without optimisation writes the missing bias of a convolution as Expand(CastLike(0, x)).
    """

    pattern = "CastLike(x, like)"
    exactness = Exactness.BITWISE
    since = 15

    def guard(self, m: Match) -> Refusal | None:
        if m.like.dtype is None:
            return Refusal(f"the element type of {m.like.name} is not known")
        return None

    def replace(self, m: Match, new: Builder) -> Replacement:
        return new.Cast(m.x, to=int(m.like.dtype), saturate=m.root.attributes.get("saturate"))

    examples = (
        Example(
            "a constant",
            "(float[2,3] x) => (float[2,3] y) <double k = {2.0}> { c = CastLike(k, x) y = Mul(x, c) }",
            "c = Cast<to=1>(#)\ny = Mul(x, c)",
        ),
    )
