"""Tools that run at the same time, with LangChain: a model asks for three at once, and each is a step of its own."""

from langchain.agents import create_agent

import perdure
from parallel_tools import offers
from perdure.ext.langchain import DurableMiddleware

travel = perdure.Service("Travel")

agent = create_agent(
    "openai:gpt-4o-mini",
    [offers.find_flights, offers.find_hotels, offers.find_events],  # plain functions: each is run once, as a step
    system_prompt="You plan weekends. Look for flights, hotels and events, all at once, then suggest a plan.",
    middleware=[DurableMiddleware()],
)


@travel.handler()
async def plan(ctx: perdure.Context, city: str) -> str:
    """Plan a weekend in a city."""
    result = await agent.ainvoke({"messages": [{"role": "user", "content": f"A weekend in {city}"}]})
    return result["messages"][-1].text


app = perdure.app([travel])
