"""The times in the messages of a run, made the same on every attempt.

Pydantic AI dates what is asked by the clock. The dates of responses are recorded with them, so those of requests are
set to the nearest: else a handler that keeps the messages in its state would write others on replay.
"""

from collections.abc import Sequence
from datetime import datetime

from perdure.ext.missing import needs

with needs("pydantic-ai-slim", extra="pydantic-ai"):
    from pydantic_ai.messages import ModelMessage, ModelRequest, ModelResponse


def settle_times(messages: Sequence[ModelMessage]) -> None:
    """Dates each request like the response before it; the first like the one after it."""
    recorded = next((each.timestamp for each in messages if isinstance(each, ModelResponse)), None)
    for message in messages:
        if isinstance(message, ModelResponse):
            recorded = message.timestamp
        elif recorded is not None:
            _date(message, recorded)


def _date(request: ModelRequest, timestamp: datetime) -> None:
    request.timestamp = timestamp
    for part in request.parts:
        if isinstance(getattr(part, "timestamp", None), datetime):
            part.timestamp = timestamp  # pyright: ignore[reportAttributeAccessIssue]  most parts have one
