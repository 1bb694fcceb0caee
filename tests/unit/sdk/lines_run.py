"""How much work something is, in lines of the SDK that run: the same on any machine, however busy it is."""

import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class LinesRun:
    """The count, once the block has ended."""

    count = 0


@contextmanager
def lines_run() -> Generator[LinesRun]:
    """Counts the lines of the SDK that run within a block, in this thread."""
    lines = LinesRun()

    def in_frame(frame: FrameType, event: str, argument: Any) -> Any:
        lines.count += event == "line"
        return in_frame

    def in_call(frame: FrameType, event: str, argument: Any) -> Any:
        return in_frame if "/perdure/sdk/" in frame.f_code.co_filename else None

    previous = sys.gettrace()
    sys.settrace(in_call)
    try:
        yield lines
    finally:
        sys.settrace(previous)
