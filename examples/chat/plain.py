"""A chat that remembers: a virtual object a session, whose state is the messages, one a key."""

import perdure
from perdure import RunOptions
from perdure.ext.state_log import StateLog
from perdure.llm import Message, llm_call

chat = perdure.VirtualObject("Chat")

PROMPT: Message = {"role": "system", "content": "You are a helpful assistant. Answer in one or two sentences."}


@chat.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Answer a message. One at a time: the next message of a session waits for this one's answer."""
    said = StateLog(ctx, "messages")
    asked: Message = {"role": "user", "content": text}
    messages = [PROMPT, *await said.items(), asked]
    reply = await ctx.run_typed("Ask the model", llm_call, RunOptions(max_attempts=3), messages=messages)
    answer = reply.content or ""
    await said.append([asked, {"role": "assistant", "content": answer}])
    return answer


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[Message]:
    """All that was said, oldest first. It is read at any time, also while a message is being answered."""
    return await StateLog(ctx, "messages").items()


app = perdure.app([chat])
