"""A chat that remembers, with LiteLLM: a virtual object a session, whose state is the messages, one a key."""

import perdure
from litellm_loop import MODEL
from perdure import RunOptions
from perdure.ext.litellm import DurableSession, completion

chat = perdure.VirtualObject("Chat")

PROMPT = {"role": "system", "content": "You are a helpful assistant. Answer in one or two sentences."}


@chat.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Answer a message. One at a time: the next message of a session waits for this one's answer."""
    session = DurableSession()
    asked = {"role": "user", "content": text}
    messages = [PROMPT, *await session.messages(), asked]
    response = await completion(MODEL, messages, run_options=RunOptions(max_attempts=3))
    answer = response.choices[0].message.content or ""
    await session.add(asked, {"role": "assistant", "content": answer})
    return answer


@chat.handler(kind="shared")
async def history(ctx: perdure.ObjectSharedContext) -> list[dict[str, str]]:
    """All that was said, oldest first. It is read at any time, also while a message is being answered."""
    return await DurableSession().messages()


app = perdure.app([chat])
