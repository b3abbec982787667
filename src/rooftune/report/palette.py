"""The colours of a report, once for light and once for dark.

The seven causes of the ledger and the two series of the roofline can be told apart by readers with any of
the common forms of colour blindness: they differ in lightness as well as in hue, and follow the hues of
Okabe and Ito's set. Text colours reach a contrast of 4.5 : 1 on their ground, marks 3 : 1.
"""

from __future__ import annotations

__all__ = ["DARK", "LIGHT", "css_variables"]

LIGHT = {
    "ground": "#fcfcfb",
    "panel": "#ffffff",
    "sunken": "#f2f4f5",
    "ink": "#1a2026",
    "muted": "#56616b",
    "line": "#d8dde1",
    "strong-line": "#76828d",
    "grid": "#e9ecee",
    "link": "#005a94",
    "before": "#b34e00",
    "after": "#0067a5",
    "good": "#00694b",
    "bad": "#a8321a",
    "roof": "#0072b2",
    "padding": "#3f97d3",
    "utilisation": "#c27c00",
    "traffic": "#d55e00",
    "dispatch": "#009e73",
    "unfused": "#b8608f",
    "residual": "#87919a",
    "on-roof": "#ffffff",
    "on-mark": "#111111",
}

DARK = {
    "ground": "#14181c",
    "panel": "#1a1f24",
    "sunken": "#222930",
    "ink": "#e6eaed",
    "muted": "#a2adb7",
    "line": "#343d46",
    "strong-line": "#7d8a96",
    "grid": "#28303a",
    "link": "#7cc0f0",
    "before": "#f0964f",
    "after": "#5db4f0",
    "good": "#4fcba4",
    "bad": "#ff8f75",
    "roof": "#4aa5e2",
    "padding": "#8fcdf5",
    "utilisation": "#e6a832",
    "traffic": "#ef7f3a",
    "dispatch": "#2fbf95",
    "unfused": "#dc8fb8",
    "residual": "#8a95a0",
    "on-roof": "#111111",
    "on-mark": "#111111",
}


def css_variables(palette: dict[str, str]) -> str:
    """The palette as declarations of CSS custom properties."""
    return "".join(f"--{name}:{colour};" for name, colour in palette.items())
