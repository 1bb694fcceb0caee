"""An agent whose deeds are undone, with Pydantic AI: a tool fails for good, and what the others booked is cancelled."""

from pydantic_ai import Agent, RunContext

import perdure
from perdure import RunOptions, TerminalError
from perdure.ext.pydantic_ai import DurableAgent, current_context
from saga import bookings

trip = perdure.Service("Trip")

ToUndo = list[tuple[str, str]]

agent = Agent(
    "openai:gpt-4o-mini",
    name="TripAgent",
    instructions="You book trips: first the flight, then the hotel, then a car.",
    deps_type=ToUndo,
)
trip_agent = DurableAgent(agent)


async def reserve(to_undo: ToUndo, what: str, destination: str) -> str:
    """Book something, and take note of it first: a booking that fails half-way is to be undone as well."""
    ctx = current_context()
    reference = str(ctx.uuid())
    to_undo.append((what, reference))
    options = RunOptions[str](max_attempts=3)
    return await ctx.run_typed(f"book {what}", bookings.reserve, options, what, destination, reference)


@agent.tool
async def book_flight(run: RunContext[ToUndo], destination: str) -> str:
    """Book a flight."""
    return await reserve(run.deps, "flight", destination)


@agent.tool
async def book_hotel(run: RunContext[ToUndo], destination: str) -> str:
    """Book a hotel."""
    return await reserve(run.deps, "hotel", destination)


@agent.tool
async def book_car(run: RunContext[ToUndo], destination: str) -> str:
    """Book a car."""
    return await reserve(run.deps, "car", destination)


@trip.handler()
async def book(ctx: perdure.Context, request: str) -> str:
    """Book a trip, or nothing of it."""
    to_undo: ToUndo = []
    try:
        result = await trip_agent.run(request, deps=to_undo)
    except TerminalError:  # a tool that failed for good, or somebody cancelled us
        for what, reference in reversed(to_undo):
            await ctx.run_typed(f"cancel {what}", bookings.cancel, RunOptions(), what, reference)
        raise
    return result.output


app = perdure.app([trip])
