"""Two agents race, with LangChain: the first answer wins, and the other agent is cancelled."""

from langchain.agents import create_agent

import perdure
from perdure.ext.langchain import DurableMiddleware

race = perdure.Service("Race")
quick_agent = perdure.Service("QuickAgent")
careful_agent = perdure.Service("CarefulAgent")

MODEL = "openai:gpt-4o-mini"

quick = create_agent(
    MODEL,
    system_prompt="Answer in one short sentence, at once.",
    middleware=[DurableMiddleware()],
    name="Quick",
)
careful = create_agent(
    MODEL,
    system_prompt="Think step by step, weigh what speaks against it, then answer.",
    middleware=[DurableMiddleware()],
    name="Careful",
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
    result = await quick.ainvoke({"messages": [{"role": "user", "content": question}]})
    return result["messages"][-1].text


@careful_agent.handler("run")
async def answer_carefully(ctx: perdure.Context, question: str) -> str:
    """Answer after some thought."""
    result = await careful.ainvoke({"messages": [{"role": "user", "content": question}]})
    return result["messages"][-1].text


app = perdure.app([race, quick_agent, careful_agent])
