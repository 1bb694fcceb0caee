"""Tools that run at the same time, with OpenAI Agents: a model asks for three at once, and each is a step."""

from agents import Agent, function_tool

import perdure
from parallel_tools import offers
from perdure.ext.openai import DurableRunner

travel = perdure.Service("Travel")

# The SDK's own tools of plain functions: a durable run records each call as a step.
agent = Agent(
    name="TravelAgent",
    model="gpt-4o-mini",
    instructions="You plan weekends. Look for flights, hotels and events, all at once, then suggest a plan.",
    tools=[
        function_tool(offers.find_flights),
        function_tool(offers.find_hotels),
        function_tool(offers.find_events),
    ],
)


@travel.handler()
async def plan(ctx: perdure.Context, city: str) -> str:
    """Plan a weekend in a city."""
    result = await DurableRunner.run(agent, f"A weekend in {city}")
    return result.final_output


app = perdure.app([travel])
