"""How a face has something done: an event that somebody waits for."""

from collections.abc import Awaitable, Callable
from typing import TypeAlias

from perdure.engine.answers import Answer
from perdure.engine.events import Event

Ask: TypeAlias = Callable[[Callable[[int], Event]], Awaitable[Answer]]
"""`Cycle.ask`: applies an event, and answers after its commit."""
