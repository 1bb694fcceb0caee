"""Two agents race, with Google ADK: the first answer wins, and the other is cancelled, also while it waits."""

import perdure
from adk_runs import agent_of, run

race = perdure.Service("Race")
quick_agent = perdure.Service("QuickAgent")
careful_agent = perdure.Service("CarefulAgent")

quick = agent_of("quick", "Answer in one short sentence, at once.")
careful = agent_of("careful", "Think step by step, weigh what speaks against it, then answer.")


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
    return await run(quick, question)


@careful_agent.handler("run")
async def answer_carefully(ctx: perdure.Context, question: str) -> str:
    """Answer after some thought."""
    return await run(careful, question)


app = perdure.app([race, quick_agent, careful_agent])
