"""The answer of an agent, out of the events of a run."""

from collections.abc import AsyncIterable

from perdure.errors import TerminalError
from perdure.ext.missing import needs

with needs("google-adk", extra="adk"):
    from google.adk.events.event import Event


async def final_answer(events: AsyncIterable[Event]) -> str:
    """The text that a run ends with: `await final_answer(runner.run_async(...))`.

    Raises:
        TerminalError: the model gave an error in place of an answer, such as that its filter held it back.
    """
    answer, error = "", None
    async for event in events:
        if event.partial:
            continue
        error = event if event.error_code is not None else None
        if event.is_final_response() and event.content is not None:
            answer = (
                "".join(part.text for part in event.content.parts or [] if part.text and not part.thought) or answer
            )
    if error is not None:  # at the end: of an exception there is an event, too, before it is raised
        raise TerminalError(f"agent {error.author!r} has no answer: {error.error_code} {error.error_message or ''}")
    return answer
