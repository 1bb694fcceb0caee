"""A message that comes while the agent works on the one before."""

import asyncio

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern, Play
from tests.ext.patterns.people import came

FIRST = "Plan a weekend in Lisbon"
SECOND = "With two children"


async def script(request: ChatRequest) -> Reply:
    said = str(request.messages)
    if SECOND not in said:
        await asyncio.sleep(4)
    return Reply("The aquarium, then the beach." if FIRST in said else "Where to?")


async def begin(play: Play) -> None:
    await play.call("Assistant/message", FIRST, key="ada")


async def see_both(play: Play) -> None:
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
