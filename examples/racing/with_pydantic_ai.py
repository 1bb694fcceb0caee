"""Two agents race, with Pydantic AI: the first answer wins, and the other is cancelled, also while it waits."""

from pydantic_ai import Agent

import perdure
from perdure.ext.pydantic_ai import DurableAgent

race = perdure.Service("Race")
quick_agent = perdure.Service("QuickAgent")
careful_agent = perdure.Service("CarefulAgent")

quick = DurableAgent(
    Agent("openai:gpt-4o-mini", name="Quick", instructions="Answer in one short sentence, at once."),
)
careful = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="Careful",
        instructions="Think step by step, weigh what speaks against it, then answer.",
    )
)


@race.handler()
async def answer(ctx: perdure.Context, question: str) -> str:
    """Ask both agents, take the first answer."""
    runners = [ctx.service_call(answer_quickly, question), ctx.service_call(answer_carefully, question)]
    first = await perdure.first_succeeded(*runners)
    for runner in runners:
        if not runner.is_completed():
            await runner.cancel_invocation()
    return first


@quick_agent.handler("run")
async def answer_quickly(ctx: perdure.Context, question: str) -> str:
    """Answer with what comes to mind."""
    result = await quick.run(question)
    return result.output


@careful_agent.handler("run")
async def answer_carefully(ctx: perdure.Context, question: str) -> str:
    """Answer after some thought."""
    result = await careful.run(question)
    return result.output


app = perdure.app([race, quick_agent, careful_agent])
