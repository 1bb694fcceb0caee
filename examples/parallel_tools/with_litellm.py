"""Tools that run at the same time, with LiteLLM: plain functions, each a step of its own."""

import perdure
from litellm_loop import run_agent
from parallel_tools.offers import find_events, find_flights, find_hotels

travel = perdure.Service("Travel")


@travel.handler()
async def plan(ctx: perdure.Context, city: str) -> str:
    """Plan a weekend in a city."""
    prompt = "You plan weekends. Look for flights, hotels and events, all at once, then suggest a plan."
    return await run_agent(prompt, f"A weekend in {city}", [find_flights, find_hotels, find_events])


app = perdure.app([travel])
