"""Answers in pieces, as server-sent events."""

import re
from collections.abc import Iterator
from typing import Any

import msgspec

DONE = b"data: [DONE]\n\n"


def event(data: dict[str, Any], name: str | None = None) -> bytes:
    """One event; `name` is for those interfaces that name theirs."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(data) + b"\n\n"


def pieces(text: str) -> Iterator[str]:
    """A text word by word, with all its spaces."""
    return (found.group() for found in re.finditer(r"\s*\S+\s*$|\s*\S+|\s+", text))
