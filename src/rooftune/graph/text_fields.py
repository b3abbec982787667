"""Text fields of a model that hold no text."""

from __future__ import annotations

from typing import Any

__all__ = ["undecodable_text"]


def undecodable_text(message: Any) -> bytes | None:
    """The first string field that is not UTF-8; protobuf hands such a field out as bytes. None where all are text.

    Walks the whole message: for finding the cause of a failure, not for every load.
    """
    for field, value in message.ListFields():
        if field.type == field.TYPE_MESSAGE:
            for inner in value if hasattr(value, "__len__") else [value]:
                found = undecodable_text(inner)
                if found is not None:
                    return found
        elif field.type == field.TYPE_STRING:
            for text in [value] if isinstance(value, str | bytes) else value:
                if isinstance(text, bytes):
                    return text
    return None
