"""A message that comes while the agent works, with LangChain: the work begins anew with both messages."""

from datetime import timedelta

from langchain.agents import create_agent

import perdure
from perdure import Cancelled, TerminalError
from perdure.ext.langchain import DurableMiddleware

assistant = perdure.VirtualObject("Assistant")
work = perdure.Service("Work")

Conversation = list[dict[str, str]]

worker = create_agent(
    "openai:gpt-4o-mini",
    system_prompt="Answer all that the user wants, in a few sentences.",
    middleware=[DurableMiddleware()],
    name="Worker",
)


@assistant.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Start to work on a message; give the id of the work, to attach to. It has the answer."""
    conversation = await ctx.get("conversation", type_hint=Conversation) or []
    before = await ctx.get("work", type_hint=str)
    if before is not None:
        ctx.cancel_invocation(before)
        try:
            answer = await ctx.attach_invocation(before, type_hint=str, timeout=timedelta(seconds=30))
            conversation.append({"role": "assistant", "content": answer})  # it had ended before
        except Cancelled:  # this handler was
            raise
        except TerminalError:  # the work was, and has cleaned up
            pass
    conversation.append({"role": "user", "content": text})
    ctx.set("conversation", conversation)
    started = await ctx.service_send(run, conversation).invocation_id()
    ctx.set("work", started)
    return started


@work.handler()
async def run(ctx: perdure.Context, conversation: Conversation) -> str:
    """Answer all that was said. A cancel ends the model's call, too, and is a TerminalError here."""
    result = await worker.ainvoke({"messages": conversation})
    return result["messages"][-1].text


app = perdure.app([assistant, work])
