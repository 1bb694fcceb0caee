"""Two agents race, with LiteLLM: the first answer wins, and the other agent is cancelled."""

import perdure
from litellm_loop import run_agent

race = perdure.Service("Race")
quick_agent = perdure.Service("QuickAgent")
careful_agent = perdure.Service("CarefulAgent")


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
    return await run_agent("Answer in one short sentence, at once.", question)


@careful_agent.handler("run")
async def answer_carefully(ctx: perdure.Context, question: str) -> str:
    """Answer after some thought."""
    return await run_agent("Think step by step, weigh what speaks against it, then answer.", question)


app = perdure.app([race, quick_agent, careful_agent])
