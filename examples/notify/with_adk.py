"""An agent that takes its time, with Google ADK: the caller is answered at once, and gets a mail in the end."""

import perdure
from adk_runs import agent_of
from adk_runs import run as run_agent
from notify.mailer import Mail, mailer, send

research = perdure.Service("Research")

researcher = agent_of("researcher", "Write what is worth knowing about this topic, in a few sentences.")


@research.handler()
async def run(ctx: perdure.Context, topic: str) -> str:
    """Accept a topic. What is sent is done, whatever becomes of the caller."""
    accepted = ctx.service_send(write, topic)
    return f"accepted: {await accepted.invocation_id()}"


@research.handler()
async def write(ctx: perdure.Context, topic: str) -> str:
    """Look into a topic, and mail what was found."""
    found = await run_agent(researcher, topic)
    ctx.service_send(send, Mail(subject=topic, text=found))
    return found


app = perdure.app([research, mailer])
