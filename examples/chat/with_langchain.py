"""A chat that remembers, with LangChain: the thread is kept in the state of the object, one object a session."""

from typing import Any

from langchain.agents import create_agent
from langchain_core.messages import convert_to_openai_messages

import perdure
from perdure.ext.langchain import DurableCheckpointer, DurableMiddleware

chat = perdure.VirtualObject("Chat")

agent = create_agent(
    "openai:gpt-4o-mini",
    system_prompt="You are a helpful assistant. Answer in one or two sentences.",
    middleware=[DurableMiddleware()],
    checkpointer=DurableCheckpointer(),
)


@chat.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Answer a message. One at a time: the next message of a session waits for this one's answer."""
    thread = {"configurable": {"thread_id": ctx.key()}}
    result = await agent.ainvoke({"messages": [{"role": "user", "content": text}]}, thread)
    return result["messages"][-1].text


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[dict[str, Any]]:
    """All that was said, oldest first. It is read at any time, also while a message is being answered."""
    state = await agent.aget_state({"configurable": {"thread_id": ctx.key()}})
    return convert_to_openai_messages(state.values.get("messages", []))


app = perdure.app([chat])
