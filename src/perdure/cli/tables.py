"""How commands show what they found: columns and fields for people, JSON for programs."""

import json
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
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


def age(at: str | int | None, now_ms: int | None = None) -> str | None:
    """How long ago something happened, by a time as the engine says it: `4m 10s ago`. `now_ms`: the time now."""
    left_ms = _left_ms(at, now_ms)
    return None if left_ms is None else f"{_rough(max(-left_ms, 0))} ago"


def until(at: str | int | None, now_ms: int | None = None) -> str | None:
    """In how long something will be that has not happened yet: `in 2h`; `in 0s` is now, or overdue."""
    left_ms = _left_ms(at, now_ms)
    return None if left_ms is None else f"in {_rough(max(left_ms, 0))}"


def when(at: str | int | None, now_ms: int | None = None) -> str | None:
    """The one or the other, of what may have been or is to be."""
    left_ms = _left_ms(at, now_ms)
    return None if left_ms is None else until(at, now_ms) if left_ms > 0 else age(at, now_ms)


def _left_ms(at: str | int | None, now_ms: int | None) -> int | None:
    if at is None:
        return None
    at_ms = at if isinstance(at, int) else time_ms(at)
    return at_ms - (time.time_ns() // 1_000_000 if now_ms is None else now_ms)


def _rough(span_ms: int) -> str:
    return duration_text(round(span_ms / 1000) * 1000, rough=True)


def harmless(text: str) -> str:
    """One line without what commands a terminal: keys and messages are whatever a caller sent."""
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def shortened(target: str) -> str:
    """A target as long as a column may be: a key may have thousands of characters."""
    return target if len(target) <= _TARGET_CHARS else f"{target[:_TARGET_CHARS]}…"


def _text(value: object) -> str:
    return "" if value is None else harmless(" ".join(str(value).split()))
