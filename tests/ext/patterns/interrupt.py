"""A message that comes while the agent works on the one before."""

from datetime import timedelta
from typing import Any

import perdure
from perdure.engine.answers import Outcome
from perdure.sdk.definition import tagged
from perdure.testing import Harness
from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns import catalogue
from tests.ext.patterns.pattern import Pattern, Play
from tests.ext.patterns.people import came, was_cancelled
from tests.ext.patterns.thinking import Thinking

FIRST = "Plan a weekend in Lisbon"
SECOND = "With two children"


thinking = Thinking()


async def script(request: ChatRequest) -> Reply:
    said = str(request.messages)
    if SECOND not in said:
        await thinking()
    return Reply("The aquarium, then the beach." if FIRST in said else "Where to?")


async def begin(play: Play) -> None:
    thinking.begin()
    await play.call("Assistant/message", FIRST, key="ada")


async def see_both(play: Play) -> None:
    await was_cancelled(play, "Work/run")
    thinking.is_in_vain()
    [_, both] = await came(play, "Work/run", 2)
    assert FIRST in str(both)
    first, second = play.harness.invocations("Work/run")
    cancelled, answered = await play.harness.outcome(first.id), await play.harness.outcome(second.id)
    assert cancelled.failure is not None, "the work on the first message was not cancelled"
    assert b"The aquarium" in (answered.value or b"")


PATTERN = Pattern(
    "interrupt",
    "Assistant/message",
    SECOND,
    lambda id: id.startswith("inv_"),
    script,
    key="ada",
    before=begin,
    meanwhile=see_both,
)


async def cancelled_as_it_waits(version: str) -> Outcome:
    """How `message` ends that is cancelled itself, while the work that it has cancelled cleans up."""
    work = perdure.Service("Work")

    @work.handler()
    async def run(ctx: perdure.Context, conversation: Any) -> str:
        try:
            await ctx.sleep(timedelta(days=1))
        except perdure.Cancelled:
            await ctx.sleep(timedelta(seconds=20))
            raise
        return "done"

    [assistant] = [each for each in catalogue.services("interrupt", version) if each.name == "Assistant"]
    definition = assistant.handlers["message"]
    message = tagged(definition.fn, definition)
    async with Harness(assistant, work) as h:
        await h.call(message, FIRST, key="ada")
        waiting = await h.send(message, SECOND, key="ada")
        await h.settle()
        await h.cancel(waiting)
        outcome = await h.outcome(waiting)
        assert len(h.invocations("Work/run")) == 1, "it began more work"
    return outcome
