"""A chat that remembers: a virtual object a session, whose state is the conversation."""

import perdure
from perdure import RunOptions
from perdure.llm import Message, llm_call

chat = perdure.VirtualObject("Chat")

PROMPT: Message = {"role": "system", "content": "You are a helpful assistant. Answer in one or two sentences."}


@chat.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Answer a message. One at a time: the next message of a session waits for this one's answer."""
    said = [*(await conversation(ctx)), {"role": "user", "content": text}]
    reply = await ctx.run_typed("Ask the model", llm_call, RunOptions(max_attempts=3), messages=[PROMPT, *said])
    answer = reply.content or ""
    ctx.set("conversation", [*said, {"role": "assistant", "content": answer}])
    return answer


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[Message]:
    """All that was said, oldest first. It is read at any time, also while a message is being answered."""
    return await conversation(ctx)


async def conversation(ctx: perdure.ObjectSharedContext) -> list[Message]:
    """What the session has said so far."""
    return await ctx.get("conversation", type_hint=list[Message]) or []


app = perdure.app([chat])
