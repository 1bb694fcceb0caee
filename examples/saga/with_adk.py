"""An agent whose deeds are undone, with Google ADK: when a tool fails for good, all that is booked is cancelled."""

from contextvars import ContextVar

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from perdure import RunOptions, TerminalError
from perdure.ext.adk import DurablePlugin, DurableSessionService, current_context, final_answer
from saga import bookings

trip = perdure.Service("Trip")

to_undo: ContextVar[list[tuple[str, str]]] = ContextVar("to_undo")
"""What the running handler has booked."""


async def book_flight(destination: str) -> str:
    """Book a flight."""
    return await reserve("flight", destination)


async def book_hotel(destination: str) -> str:
    """Book a hotel."""
    return await reserve("hotel", destination)


async def book_car(destination: str) -> str:
    """Book a car."""
    return await reserve("car", destination)


async def reserve(what: str, destination: str) -> str:
    """Book, and note how to undo it."""
    ctx = current_context()
    reference = str(ctx.uuid())
    to_undo.get().append((what, reference))  # first: a booking that fails half-way is to be undone as well
    options = RunOptions[str](max_attempts=3)
    return await ctx.run_typed(f"book {what}", bookings.reserve, options, what, destination, reference)


agent = Agent(
    name="trip_agent",
    model="gemini-2.5-flash",
    instruction="You book trips: first the flight, then the hotel, then a car.",
    tools=[book_flight, book_hotel, book_car],
)
runner = Runner(
    app=App(name="trips", root_agent=agent, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@trip.handler()
async def book(ctx: perdure.Context, request: str) -> str:
    """Book a trip, or nothing of it."""
    to_undo.set(booked := [])
    try:
        return await final_answer(runner.run_async(user_id="user", session_id="trip", new_message=UserContent(request)))
    except TerminalError:  # a tool that failed for good, or somebody cancelled us
        for what, reference in reversed(booked):
            await ctx.run_typed(f"cancel {what}", bookings.cancel, RunOptions(), what, reference)
        raise


app = perdure.app([trip])
