"""From a record to something to read: one HTML page, or text for the terminal."""

from __future__ import annotations

from rooftune.report.html import render_html, write_html
from rooftune.report.text import render_text

__all__ = ["render_html", "render_text", "write_html"]
