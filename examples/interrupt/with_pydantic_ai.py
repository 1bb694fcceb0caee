"""A message that comes while the agent works, with Pydantic AI: the work begins anew with both messages."""

from datetime import timedelta

from pydantic_ai import Agent

import perdure
from perdure import Cancelled, TerminalError
from perdure.ext.pydantic_ai import DurableAgent

assistant = perdure.VirtualObject("Assistant")
work = perdure.Service("Work")

worker = DurableAgent(
    Agent("openai:gpt-4o-mini", name="Worker", instructions="Answer all that the user wants, in a few sentences.")
)


@assistant.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Start to work on a message; give the id of the work, to attach to. It has the answer."""
    conversation = await ctx.get("conversation", type_hint=list[str]) or []
    before = await ctx.get("work", type_hint=str)
    if before is not None:
        ctx.cancel_invocation(before)
        try:
            answer = await ctx.attach_invocation(before, type_hint=str, timeout=timedelta(seconds=30))
            conversation.append(f"Assistant: {answer}")  # it had ended before
        except Cancelled:  # this handler was
            raise
        except TerminalError:  # the work was, and has cleaned up
            pass
    conversation.append(f"User: {text}")
    ctx.set("conversation", conversation)
    started = await ctx.service_send(run, conversation).invocation_id()
    ctx.set("work", started)
    return started


@work.handler()
async def run(ctx: perdure.Context, conversation: list[str]) -> str:
    """Answer all that was said. A cancel ends the model's call, too, and is a TerminalError here."""
    result = await worker.run("\n".join(conversation))
    return result.output


app = perdure.app([assistant, work])
