"""Tools that run at the same time, with Pydantic AI: plain functions, each of whose calls is a step."""

from pydantic_ai import Agent

import perdure
from parallel_tools.offers import find_events, find_flights, find_hotels
from perdure.ext.pydantic_ai import DurableAgent

travel = perdure.Service("Travel")

travel_agent = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="TravelAgent",
        instructions="You plan weekends. Look for flights, hotels and events, all at once, then suggest a plan.",
        tools=[find_flights, find_hotels, find_events],
    )
)


@travel.handler()
async def plan(ctx: perdure.Context, city: str) -> str:
    """Plan a weekend in a city."""
    result = await travel_agent.run(f"A weekend in {city}")
    return result.output


app = perdure.app([travel])
