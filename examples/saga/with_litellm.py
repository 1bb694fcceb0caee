"""An agent whose deeds are undone, with LiteLLM: when a tool fails for good, what was booked is cancelled."""

import perdure
from litellm_loop import run_agent
from perdure import RunOptions, TerminalError
from saga import bookings

trip = perdure.Service("Trip")


@trip.handler()
async def book(ctx: perdure.Context, request: str) -> str:
    """Book a trip, or nothing of it."""
    to_undo: list[tuple[str, str]] = []

    async def reserve(what: str, destination: str) -> str:
        reference = str(ctx.uuid())
        to_undo.append((what, reference))  # first: a booking that fails half-way is to be undone as well
        options = RunOptions[str](max_attempts=3)
        return await ctx.run_typed(f"book {what}", bookings.reserve, options, what, destination, reference)

    async def book_flight(destination: str) -> str:
        """Book a flight."""
        return await reserve("flight", destination)

    async def book_hotel(destination: str) -> str:
        """Book a hotel."""
        return await reserve("hotel", destination)

    async def book_car(destination: str) -> str:
        """Book a car."""
        return await reserve("car", destination)

    prompt = "You book trips: first the flight, then the hotel, then a car."
    try:
        return await run_agent(prompt, request, [book_flight, book_hotel, book_car])
    except TerminalError:  # a tool that failed for good, or somebody cancelled us
        for what, reference in reversed(to_undo):
            await ctx.run_typed(f"cancel {what}", bookings.cancel, RunOptions(), what, reference)
        raise


app = perdure.app([trip])
