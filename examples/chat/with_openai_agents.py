"""A chat that remembers, with OpenAI Agents: a virtual object a session, whose state is the messages, one a key."""

from typing import Any

from agents import Agent

import perdure
from perdure.ext.openai import DurableRunner, DurableSession

chat = perdure.VirtualObject("Chat")

assistant = Agent(
    name="Assistant",
    model="gpt-4o-mini",
    instructions="You are a helpful assistant. Answer in one or two sentences.",
)


@chat.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Answer a message. One at a time: the next message of a session waits for this one's answer."""
    result = await DurableRunner.run(assistant, text, use_durable_session=True)
    return result.final_output


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[Any]:
    """All that was said, oldest first. It is read at any time, also while a message is being answered."""
    return await DurableSession().get_items()


app = perdure.app([chat])
