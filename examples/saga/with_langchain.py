"""An agent whose deeds are undone, with LangChain: when a tool fails for good, all that is booked is cancelled."""

from dataclasses import dataclass, field

from langchain.agents import create_agent
from langchain.tools import ToolRuntime

import perdure
from perdure import RunOptions, TerminalError
from perdure.ext.langchain import DurableMiddleware, current_context
from saga import bookings

trip = perdure.Service("Trip")


@dataclass
class Booked:
    """What is to be undone: LangChain hands it to all tools of a run."""

    to_undo: list[tuple[str, str]] = field(default_factory=list)


async def book_flight(destination: str, runtime: ToolRuntime[Booked]) -> str:
    """Book a flight."""
    return await reserve(runtime.context, "flight", destination)


async def book_hotel(destination: str, runtime: ToolRuntime[Booked]) -> str:
    """Book a hotel."""
    return await reserve(runtime.context, "hotel", destination)


async def book_car(destination: str, runtime: ToolRuntime[Booked]) -> str:
    """Book a car."""
    return await reserve(runtime.context, "car", destination)


async def reserve(booked: Booked, what: str, destination: str) -> str:
    """Book, and note how to undo it."""
    ctx = current_context()
    reference = str(ctx.uuid())
    booked.to_undo.append((what, reference))  # first: a booking that fails half-way is to be undone as well
    options = RunOptions[str](max_attempts=3)
    return await ctx.run_typed(f"book {what}", bookings.reserve, options, what, destination, reference)


agent = create_agent(
    "openai:gpt-4o-mini",
    [book_flight, book_hotel, book_car],
    system_prompt="You book trips: first the flight, then the hotel, then a car.",
    middleware=[DurableMiddleware()],
    context_schema=Booked,
)


@trip.handler()
async def book(ctx: perdure.Context, request: str) -> str:
    """Book a trip, or nothing of it."""
    booked = Booked()
    try:
        result = await agent.ainvoke({"messages": [{"role": "user", "content": request}]}, context=booked)
    except TerminalError:  # a tool that failed for good, or somebody cancelled us
        for what, reference in reversed(booked.to_undo):
            await ctx.run_typed(f"cancel {what}", bookings.cancel, RunOptions(), what, reference)
        raise
    return result["messages"][-1].text


app = perdure.app([trip])
