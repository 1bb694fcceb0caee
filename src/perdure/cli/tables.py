"""How commands show what they found: columns and fields for people, JSON for programs."""

import json
import shutil
import sys
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

_GAP = "  "
_UNITS_S = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))


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
    """A line each; what is None is left out."""
    said = [(name, _text(value)) for name, value in fields if value is not None]
    width = max(len(name) for name, _ in said)
    for name, text in said:
        print(f"{name.ljust(width)}{_GAP}{text}")


def time_of(value: str | int) -> datetime:
    """A time as the engine says it: RFC 3339, or milliseconds since the epoch."""
    return datetime.fromtimestamp(value / 1000, UTC) if isinstance(value, int) else datetime.fromisoformat(value)


def age(value: str | int | None) -> str | None:
    """How long ago that was, or in how long it will be: `4m 10s ago`, `in 2h`."""
    if value is None:
        return None
    seconds = round((datetime.now(UTC) - time_of(value)).total_seconds())
    return f"{duration(seconds)} ago" if seconds >= 0 else f"in {duration(-seconds)}"


def duration(seconds: int) -> str:
    """In its two largest units."""
    for position, (unit, unit_s) in enumerate(_UNITS_S):
        if seconds >= unit_s:
            count, rest = divmod(seconds, unit_s)
            smaller, smaller_s = _UNITS_S[min(position + 1, len(_UNITS_S) - 1)]
            return f"{count}{unit} {rest // smaller_s}{smaller}" if rest // smaller_s else f"{count}{unit}"
    return "0s"


def _text(value: object) -> str:
    return "" if value is None else " ".join(str(value).split())
