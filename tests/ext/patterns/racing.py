"""Two agents race; the one that takes its time is cancelled."""

from perdure.testing.model import ChatRequest, Reply
from tests.ext.patterns.pattern import Pattern, Play
from tests.ext.patterns.thinking import Thinking

QUESTION = "Why is the sky blue?"
QUICK = "Air scatters blue light most."


thinking = Thinking()


async def script(request: ChatRequest) -> Reply:
    if "step by step" in request.instructions:
        await thinking()
        return Reply("Let us think.")
    return Reply(QUICK)


async def see_who_lost(play: Play) -> None:
    thinking.begin()
    await play.harness.outcome(play.harness.invocations("Race/answer")[-1].id)
    thinking.is_in_vain()
    [careful] = play.harness.invocations("CarefulAgent/run")
    outcome = await play.harness.outcome(careful.id)
    assert outcome.failure is not None, "the careful agent was not cancelled"
    assert outcome.failure.code == 409


PATTERN = Pattern("racing", "Race/answer", QUESTION, QUICK, script, meanwhile=see_who_lost)
