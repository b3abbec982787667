"""A table as data, for the page and the terminal alike: columns, cells with what they sort by, and marks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from rooftune.report.ledger import Segment
from rooftune.report.reading import ABSENT, amount, number, shortened, words

__all__ = ["Cell", "Column", "Table", "figure", "flag", "label"]

NAME_LIMIT = 88
"""Longest text a cell shows; the whole of it stays in the cell's title."""


@dataclass(frozen=True)
class Column:
    """Title, key for scripts, and kind of a column.

    `priority` 1 and 2 are shown on a narrow terminal, 3 on a wide one, 4 on the page only.
    """

    key: str
    title: str
    numeric: bool = False
    hint: str = ""
    priority: int = 1


@dataclass(frozen=True)
class Cell:
    """`sort` is what the column orders by (None sorts last); `share` (0..1) draws a bar behind the text."""

    text: str
    sort: float | str | None = None
    title: str = ""
    under: str = ""
    share: float | None = None
    tone: str = ""  # good, bad or muted
    segments: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class Table:
    """Rows of cells under columns; `filters` are the keys of the columns whose values can be chosen from."""

    id: str
    caption: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    filters: tuple[str, ...] = ()
    note: str = ""
    searchable: bool = False
    choices: dict[str, list[str]] = field(default_factory=dict)

    def position(self, key: str) -> int:
        return next(index for index, column in enumerate(self.columns) if column.key == key)

    def without_empty_columns(self) -> Table:
        """The same table without the columns in which no row has anything to say."""
        kept = [
            index
            for index, _ in enumerate(self.columns)
            if index == 0 or any(row[index].text not in {"", ABSENT} or row[index].segments for row in self.rows)
        ]
        columns = tuple(self.columns[index] for index in kept)
        keys = {column.key for column in columns}
        chosen = {
            key: sorted({row[self.position(key)].text for row in self.rows} - {"", ABSENT})
            for key in self.filters
            if key in keys
        }
        choices = {key: values for key, values in chosen.items() if 1 < len(values) <= 60}
        rows = tuple(tuple(row[index] for index in kept) for row in self.rows)
        return Table(self.id, self.caption, columns, rows, tuple(choices), self.note, self.searchable, choices)


def label(value: object, *, tone: str = "", under: object = None, limit: int = NAME_LIMIT) -> Cell:
    """A cell of text; a long one is shown without its middle."""
    text = words(value)
    shown = shortened(text, limit)
    return Cell(
        shown or ABSENT,
        sort=text.casefold()[:200] if text else None,
        title=text[:2000] if shown != text else "",
        under=shortened(words(under), limit),
        tone=tone,
    )


def figure(
    value: object, form: Callable[[object], str] = amount, *, share: float | None = None, tone: str = ""
) -> Cell:
    """A cell of a number in its text form; sorts by the number."""
    found = number(value)
    if share is not None:
        share = min(1.0, max(0.0, share))
    return Cell(shortened(form(value), NAME_LIMIT), sort=found, share=share, tone=tone)


def flag(value: object, yes: str, no: str) -> Cell:
    """A yes or no with its tone; a dash where it was not decided."""
    if not isinstance(value, bool):
        return Cell(ABSENT)
    return Cell(yes if value else no, sort=0.0 if value else 1.0, tone="good" if value else "bad")
