"""`interrupt()` inside of a step: what it does to the graph around it, done again where the step is only replayed.

LangGraph keeps the answers that a task's interrupts were given in a scratchpad, and among the task's writes. A step
that was executed has filled both; where its recorded result is read instead, they are filled from the record.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from perdure.ext.missing import needs

with needs("langgraph", extra="langchain"):
    from langgraph._internal._constants import (  # pyright: ignore[reportMissingTypeStubs]
        CONFIG_KEY_SCRATCHPAD,
        CONFIG_KEY_SEND,
        RESUME,
    )
    from langgraph._internal._scratchpad import PregelScratchpad  # pyright: ignore[reportMissingTypeStubs]


class Answers:
    """The answers that interrupts of one graph task were given so far."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        configurable = config.get("configurable", {})
        self._scratchpad: PregelScratchpad | None = configurable.get(CONFIG_KEY_SCRATCHPAD)
        self._send = configurable.get(CONFIG_KEY_SEND)

    @property
    def given(self) -> list[Any]:
        """All of them, to be recorded."""
        return [] if self._scratchpad is None else list(self._scratchpad.resume)

    def use_again(self, recorded: Sequence[Any]) -> None:
        """Does to the graph what the interrupts did that had these answers."""
        if self._scratchpad is None or self._send is None:
            return
        if len(recorded) > len(self._scratchpad.resume):
            self._scratchpad.get_null_resume(True)
        self._scratchpad.resume[:] = recorded
        for count in range(1, len(recorded) + 1):
            self._send([(RESUME, recorded[:count])])
