"""The discrete Fourier transform: what the fast algorithms need for a length."""

from __future__ import annotations

from rooftune.quantities import Count, Dim, ceil_div

__all__ = ["transform"]


def transform(length: Dim, *, real: bool) -> dict[str, Count]:
    """Multiplications and additions of one transform of `length` points; `real` input or output needs half.

    Powers of two: radix-2 Cooley-Tukey, the customary 5 · n · log2(n) FLOPs (two multiplications and three additions
    for each point and stage). Other lengths: an upper bound, the cheaper of mixed radix with direct butterflies and
    Bluestein's algorithm. Open lengths are counted as powers of two.
    """
    if not isinstance(length, int):
        from sympy import log

        stages = log(length, 2)
        counts = {"mul": 2 * length * stages, "add": 3 * length * stages}
        return {kind: n / 2 for kind, n in counts.items()} if real else counts
    if length < 1:
        return {}
    counts = min(_mixed_radix(length), _bluestein(length), key=lambda c: sum(c.values()))
    return {kind: ceil_div(n, 2) for kind, n in counts.items()} if real else counts


def _mixed_radix(length: int) -> dict[str, int]:
    """One stage per prime factor p: n·(p−1)/p twiddles, then n/p butterflies of p points worked out directly."""
    multiply = add = 0
    rest, prime = length, 2
    while rest > 1:
        while rest % prime == 0:
            rest //= prime
            twiddles = length // prime * (prime - 1)
            # a butterfly of two points is one sum and one difference; above, (p−1)² complex factors are not one
            factors = 0 if prime == 2 else length // prime * (prime - 1) ** 2
            sums = length // prime * prime * (prime - 1)
            # a complex multiplication is four and two, a complex addition two
            multiply += 4 * (twiddles + factors)
            add += 2 * (twiddles + factors) + 2 * sums
        prime += 1
        # what is left is prime, or has large factors only: one direct butterfly bounds both
        if rest > 1 and (prime * prime > rest or prime > 1000):
            prime = rest
    return {"mul": multiply, "add": add}


def _bluestein(length: int) -> dict[str, int]:
    """As a convolution of the next power of two m ≥ 2n − 1: three transforms, m products, 2n chirp factors."""
    stages = (2 * length - 2).bit_length()
    wide = 1 << stages
    products = wide + 2 * length
    return {"mul": 3 * 2 * wide * stages + 4 * products, "add": 3 * 3 * wide * stages + 2 * products}
