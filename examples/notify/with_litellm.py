"""An agent that takes its time, with LiteLLM: the caller is answered at once, and gets a mail when it is done."""

import perdure
from litellm_loop import run_agent
from notify.mailer import Mail, mailer, send

research = perdure.Service("Research")


@research.handler()
async def run(ctx: perdure.Context, topic: str) -> str:
    """Accept a topic. What is sent is done, whatever becomes of the caller."""
    accepted = ctx.service_send(write, topic)
    return f"accepted: {await accepted.invocation_id()}"


@research.handler()
async def write(ctx: perdure.Context, topic: str) -> str:
    """Look into a topic, and mail what was found."""
    found = await run_agent("Write what is worth knowing about this topic, in a few sentences.", topic)
    ctx.service_send(send, Mail(subject=topic, text=found))
    return found


app = perdure.app([research, mailer])
