"""The people who are asked, or look on: they answer when they were told of a claim."""

import asyncio
import re

from tests.ext.patterns.pattern import Play, Scene

POLL_S = 0.01
POLLS = 3000
_AWAKEABLE = re.compile(r"(?:sign|prom)_1[\w-]+")


def answering(approved: bool) -> Scene:
    """A reviewer who says this to the first claim that comes."""

    async def answer(play: Play) -> None:
        await play.harness.resolve_awakeable(await told(play), approved)

    return answer


async def told(play: Play) -> str:
    """The awakeable's id, which the reviewers were sent."""
    [request] = await came(play, "Reviewers/notify", 1)
    found = _AWAKEABLE.search(repr(request))
    assert found, f"Reviewers/notify was sent no awakeable's id but {request!r}"
    return found[0]


async def came(play: Play, target: str, count: int) -> list[object]:
    """Waits for so many invocations of a handler; what they were sent."""
    for _ in range(POLLS):
        if len(seen := play.harness.invocations(target)) >= count:
            return [play.harness.journal(each.id)[0].value for each in seen]
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"{target} was called {len(seen)} times, not {count}")


async def was_cancelled(play: Play, target: str) -> None:
    """Waits until the first invocation of a handler was told to end."""
    for _ in range(POLLS):
        seen = play.harness.invocations(target)
        if seen and "cancel" in play.harness.journal(seen[0].id).names("signal"):
            return
        await asyncio.sleep(POLL_S)
    raise AssertionError(f"{target} was not cancelled")
