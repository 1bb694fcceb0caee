"""How commands show what they found: columns and fields for people, JSON for programs."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from perdure.times import duration_text, time_ms

_GAP = "  "
_TARGET_CHARS = 60


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Columns as wide as they need to be; on a terminal, the last one ends where its lines do."""
    lines = [list(titles), *([_text(value) for value in row] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(titles))]
    columns = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    for line in lines:
        shown = _GAP.join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip()
        print(shown if columns is None or len(shown) <= columns else shown[: columns - 1] + "…")


def print_fields(fields: Iterable[tuple[str, object]]) -> None:
    """A line each, or as many as the value has; what is None is left out."""
    said = [(name, str(value).rstrip().split("\n")) for name, value in fields if value is not None]
    width = max(len(name) for name, _ in said)
    for name, lines in said:
        for title, line in zip((name, *[""] * (len(lines) - 1)), lines, strict=True):
            print(f"{title.ljust(width)}{_GAP}{harmless(line)}".rstrip())


def age(value: str | int | None) -> str | None:
    """How long ago a time was, or in how long it will be, as the engine says it: `4m 10s ago`, `in 2h`."""
    if value is None:
        return None
    at_ms = value if isinstance(value, int) else time_ms(value)
    seconds = round((datetime.now(UTC).timestamp() * 1000 - at_ms) / 1000)
    shown = duration_text(abs(seconds) * 1000, rough=True)
    return f"{shown} ago" if seconds >= 0 else f"in {shown}"


def harmless(text: str) -> str:
    """One line without what commands a terminal: keys and messages are whatever a caller sent."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def shortened(target: str) -> str:
    """A target as long as a column may be: a key may have thousands of characters."""
    return target if len(target) <= _TARGET_CHARS else f"{target[:_TARGET_CHARS]}…"


def _text(value: object) -> str:
    return "" if value is None else harmless(" ".join(str(value).split()))
