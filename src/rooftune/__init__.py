"""Rooftune makes a trained model run as fast as its machine allows, and shows the proof."""

__version__ = "0.1.0"
