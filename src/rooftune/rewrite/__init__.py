"""Lossless rewrites of graphs, each a rule with its proof."""
