"""A message that comes while the agent works, with LiteLLM: the work is cancelled, and begun anew with both."""

from datetime import timedelta

import perdure
from litellm_loop import MODEL
from perdure import Cancelled, RunOptions, TerminalError
from perdure.ext.litellm import completion

assistant = perdure.VirtualObject("Assistant")
work = perdure.Service("Work")

Conversation = list[dict[str, str]]


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
    """Answer all that was said. A cancel is a TerminalError at an `await`: undo there what is half done."""
    prompt = {"role": "system", "content": "Answer all that the user wants, in a few sentences."}
    response = await completion(MODEL, [prompt, *conversation], run_options=RunOptions(max_attempts=3))
    return response.choices[0].message.content or ""


app = perdure.app([assistant, work])
