"""Interpolation: values between the points of a grid as weighted sums of their neighbours."""

from __future__ import annotations

from rooftune.quantities import Count

__all__ = ["TAPS_PER_AXIS", "free_weights", "weighted_sum"]

TAPS_PER_AXIS = {"nearest": 1, "linear": 2, "bilinear": 2, "cubic": 4, "bicubic": 4}
"""Neighbours read along one axis, by the modes' names of all operators; a nearest neighbour is a move."""


def weighted_sum(values: Count, taps: Count) -> dict[str, Count]:
    """One multiplication and one addition per tap of every value (kept apart from MACs: no matrix unit does them)."""
    return {"mul": values * taps, "add": values * taps}


def free_weights(positions: Count, rank: int, taps_per_axis: int) -> dict[str, Count]:
    """Operations that turn each free position into the weights of its taps; channels share them.

    Per axis: floor, then the weights of that axis; then one product per tap and further axis.
    """
    axes = positions * rank
    if taps_per_axis == 1:
        return {"round": axes}
    if taps_per_axis == 2:
        # distance to the lower neighbour, and one minus it
        per_axis = {"round": axes, "add": 2 * axes}
    else:
        # distance, then four polynomials of third degree: three multiplications and three additions each (Horner)
        per_axis = {"round": axes, "add": axes + 12 * axes, "mul": 12 * axes}
    products = positions * taps_per_axis**rank * (rank - 1)
    return {**per_axis, "mul": per_axis.get("mul", 0) + products}
