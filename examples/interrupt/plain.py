"""A message that comes while the agent works: the work is cancelled, and begun anew with both messages."""

from datetime import timedelta

import perdure
from perdure import Cancelled, RunOptions, TerminalError
from perdure.llm import Message, llm_call

assistant = perdure.VirtualObject("Assistant")
work = perdure.Service("Work")


@assistant.handler()
async def message(ctx: perdure.ObjectContext, text: str) -> str:
    """Start to work on a message; give the id of the work, to attach to. It has the answer."""
    conversation = await ctx.get("conversation", type_hint=list[Message]) or []
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
async def run(ctx: perdure.Context, conversation: list[Message]) -> str:
    """Answer all that was said. A cancel is a TerminalError at an `await`: undo there what is half done."""
    prompt: Message = {"role": "system", "content": "Answer all that the user wants, in a few sentences."}
    reply = await ctx.run_typed("Ask the model", llm_call, RunOptions(max_attempts=3), messages=[prompt, *conversation])
    return reply.content or ""


app = perdure.app([assistant, work])
