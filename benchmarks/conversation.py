"""What conversations cost on disk: the growth of the store with each call of a model, and with each turn of a chat.

An agent is one invocation that calls a model again and again, each time with all that was said so far. A chat is a
virtual object, and each turn an invocation of it. Each is written twice: with `perdure.ext`, which records what is new,
and as one does it by hand, with the whole history in each record. Each message has 2 kB, and each call or turn brings
two: a question, or what a tool gave, and the model's answer.
"""

import argparse
import asyncio
import random
import string
import tempfile
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from rich.console import Console
from rich.table import Table

import perdure
from perdure.ext.codecs import PLAIN
from perdure.ext.conversation import Asked, Conversations, Said
from perdure.ext.model_calls import model_call
from perdure.ext.state_log import StateLog

from .processes import REPOSITORY

MESSAGE_BYTES = 2_000
Messages: TypeAlias = list[dict[str, str]]


def message(role: str, number: int) -> dict[str, str]:
    """The same on every attempt, and no two alike."""
    letters = random.Random(f"{role} {number}").choices(string.ascii_letters, k=MESSAGE_BYTES)
    return {"role": role, "content": "".join(letters)}


async def answer(messages: Messages) -> dict[str, str]:
    """The model."""
    return message("assistant", len(messages))


async def ask_as_new(messages: Messages) -> dict[str, str]:
    """Records what of the request is new, and the answer."""
    return await model_call(
        Asked("small", messages), lambda: answer(messages), PLAIN, lambda response: Said([response])
    )


async def ask_as_sent(ctx: perdure.Context, messages: Messages) -> dict[str, str]:
    """Records the request as it is sent, and the answer."""

    async def ask() -> dict[str, Any]:
        return {"request": messages, "response": await answer(messages)}

    return (await ctx.run_typed("ask", ask))["response"]


agent = perdure.Service("Agent")
chat = perdure.VirtualObject("Chat")


@agent.handler()
async def what_is_new(ctx: perdure.Context, calls: int) -> None:
    messages: Messages = []
    for _ in range(calls):
        messages.append(message("user", len(messages)))
        messages.append(await ask_as_new(messages))


@agent.handler()
async def whole_history(ctx: perdure.Context, calls: int) -> None:
    messages: Messages = []
    for _ in range(calls):
        messages.append(message("user", len(messages)))
        messages.append(await ask_as_sent(ctx, messages))


@chat.handler()
async def turn_as_new(ctx: perdure.ObjectContext, turn: int) -> None:
    log = StateLog(ctx, "messages")
    history = await log.items()
    ctx.attached(Conversations).loaded(f"Chat/{ctx.key()}", history)
    question = message("user", turn)
    await log.append([question, await ask_as_new([*history, question])])


@chat.handler()
async def turn_with_history(ctx: perdure.ObjectContext, turn: int) -> None:
    history: Messages = await ctx.get("messages") or []
    question = message("user", turn)
    ctx.set("messages", [*history, question, await ask_as_sent(ctx, [*history, question])])


async def run_agent(handler: Any, count: int, engine: perdure.Engine) -> None:
    await engine.call(handler, count)


async def run_chat(handler: Any, count: int, engine: perdure.Engine) -> None:
    for turn in range(count):
        await engine.call(handler, turn, key="ann")


RUNS: list[tuple[str, str, Callable[[Any, int, perdure.Engine], Awaitable[None]], Any]] = [
    ("agent: calls", "what is new", run_agent, what_is_new),
    ("agent: calls", "whole history", run_agent, whole_history),
    ("chat: turns", "what is new", run_chat, turn_as_new),
    ("chat: turns", "whole history", run_chat, turn_with_history),
]


def store_bytes(folder: Path, run: Callable[[perdure.Engine], Awaitable[None]]) -> int:
    """How large a store is that only this was done with."""

    async def live() -> None:
        async with perdure.Engine([agent, chat], data_dir=folder) as engine:
            await run(engine)

    asyncio.run(live())
    return sum(file.stat().st_size for file in folder.iterdir())


async def nothing(engine: perdure.Engine) -> None: ...


def measure(folder: Path, counts: list[int]) -> Table:
    table = Table("conversation", "recorded", "how many", "store kB", "kB for each", "for each kB said")
    empty_bytes = store_bytes(folder / "empty", nothing)
    for what, way, run, handler in RUNS:
        for count in counts:
            path = folder / f"{handler.__name__}-{count}"
            grown_kb = (store_bytes(path, partial(run, handler, count)) - empty_bytes) / 1e3
            said_kb = 2 * MESSAGE_BYTES * count / 1e3
            table.add_row(
                what, way, f"{count}", f"{grown_kb:,.0f}", f"{grown_kb / count:,.1f}", f"{grown_kb / said_kb:.1f}"
            )
        table.add_section()
    return table


def main() -> None:
    """Read the command line, run in a folder of its own."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.conversation", description=__doc__)
    parser.add_argument("--counts", nargs="+", type=int, default=[10, 50, 100], help="calls, and turns")
    options = parser.parse_args()
    (REPOSITORY / ".cache").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="perdure-conversation-", dir=REPOSITORY / ".cache") as folder:
        Console(width=120).print(measure(Path(folder), options.counts))


if __name__ == "__main__":
    main()
