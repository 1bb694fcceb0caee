"""An agent whose deeds are undone, with OpenAI Agents: when a tool fails for good, all that is booked is cancelled."""

from dataclasses import dataclass, field

from agents import Agent, RunContextWrapper

import perdure
from perdure import RunOptions, TerminalError
from perdure.ext.openai import DurableRunner, current_context, durable_function_tool
from saga import bookings

trip = perdure.Service("Trip")


@dataclass
class Booked:
    """What is to be undone: the SDK hands it to all tools of a run."""

    to_undo: list[tuple[str, str]] = field(default_factory=list)


@durable_function_tool
async def book_flight(booked: RunContextWrapper[Booked], destination: str) -> str:
    """Book a flight."""
    return await reserve(booked, "flight", destination)


@durable_function_tool
async def book_hotel(booked: RunContextWrapper[Booked], destination: str) -> str:
    """Book a hotel."""
    return await reserve(booked, "hotel", destination)


@durable_function_tool
async def book_car(booked: RunContextWrapper[Booked], destination: str) -> str:
    """Book a car."""
    return await reserve(booked, "car", destination)


async def reserve(booked: RunContextWrapper[Booked], what: str, destination: str) -> str:
    """Book, and note how to undo it."""
    ctx = current_context()
    reference = str(ctx.uuid())
    booked.context.to_undo.append((what, reference))  # first: a booking that fails half-way is to be undone as well
    options = RunOptions[str](max_attempts=3)
    return await ctx.run_typed(f"book {what}", bookings.reserve, options, what, destination, reference)


agent = Agent[Booked](
    name="TripAgent",
    model="gpt-4o-mini",
    instructions="You book trips: first the flight, then the hotel, then a car.",
    tools=[book_flight, book_hotel, book_car],
)


@trip.handler()
async def book(ctx: perdure.Context, request: str) -> str:
    """Book a trip, or nothing of it."""
    booked = Booked()
    try:
        result = await DurableRunner.run(agent, request, context=booked)
    except TerminalError:  # a tool that failed for good, or somebody cancelled us
        for what, reference in reversed(booked.to_undo):
            await ctx.run_typed(f"cancel {what}", bookings.cancel, RunOptions(), what, reference)
        raise
    return result.final_output


app = perdure.app([trip])
