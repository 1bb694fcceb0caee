"""A chat that remembers, with Pydantic AI: the conversation is the object's state, a message a key."""

from typing import Any

from pydantic_ai import Agent
from pydantic_ai.messages import ModelMessagesTypeAdapter

import perdure
from perdure.ext.pydantic_ai import DurableAgent, DurableConversation

chat = perdure.VirtualObject("Chat")

assistant = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="Assistant",
        instructions="You are a helpful assistant. Answer in one or two sentences.",
    )
)


@chat.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Answer a message. One at a time: the next message of a session waits for this one's answer."""
    conversation = DurableConversation(ctx)
    result = await assistant.run(text, conversation=await conversation.load())
    await conversation.save(result)
    return result.output


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[dict[str, Any]]:
    """All that was said, oldest first. It is read at any time, also while a message is being answered."""
    return ModelMessagesTypeAdapter.dump_python(await DurableConversation(ctx).messages(), mode="json")


app = perdure.app([chat])
