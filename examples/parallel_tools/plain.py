"""Tools that run at the same time: a model asks for three at once, and each is a step of its own."""

import perdure
from agent_loop import run_agent
from parallel_tools import offers
from perdure import RunOptions

travel = perdure.Service("Travel")


async def find_flights(city: str) -> str:
    """Find flights to a city."""
    ctx = perdure.current_context()
    return await ctx.run_typed("find_flights", offers.find_flights, RunOptions(max_attempts=3), city=city)


async def find_hotels(city: str) -> str:
    """Find hotels in a city."""
    ctx = perdure.current_context()
    return await ctx.run_typed("find_hotels", offers.find_hotels, RunOptions(max_attempts=3), city=city)


async def find_events(city: str) -> str:
    """Find events in a city."""
    ctx = perdure.current_context()
    return await ctx.run_typed("find_events", offers.find_events, RunOptions(max_attempts=3), city=city)


@travel.handler()
async def plan(ctx: perdure.Context, city: str) -> str:
    """Plan a weekend in a city."""
    prompt = "You plan weekends. Look for flights, hotels and events, all at once, then suggest a plan."
    return await run_agent(ctx, prompt, f"A weekend in {city}", [find_flights, find_hotels, find_events])


app = perdure.app([travel])
