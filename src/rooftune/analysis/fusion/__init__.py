"""Which operators a backend runs as one kernel, written down as data."""

from rooftune.analysis.fusion.rules import FusionRules, Group, Pattern, Quantised, Slot, fusion_rules, known_backends

__all__ = ["FusionRules", "Group", "Pattern", "Quantised", "Slot", "fusion_rules", "known_backends"]
