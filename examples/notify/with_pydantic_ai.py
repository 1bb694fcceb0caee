"""An agent that takes its time, with Pydantic AI: the caller is answered at once, and gets a mail in the end."""

from pydantic_ai import Agent

import perdure
from notify.mailer import Mail, mailer, send
from perdure.ext.pydantic_ai import DurableAgent

research = perdure.Service("Research")

researcher = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="Researcher",
        instructions="Write what is worth knowing about this topic, in a few sentences.",
    )
)


@research.handler()
async def run(ctx: perdure.Context, topic: str) -> str:
    """Accept a topic. What is sent is done, whatever becomes of the caller."""
    accepted = ctx.service_send(write, topic)
    return f"accepted: {await accepted.invocation_id()}"


@research.handler()
async def write(ctx: perdure.Context, topic: str) -> str:
    """Look into a topic, and mail what was found."""
    found = await researcher.run(topic)
    ctx.service_send(send, Mail(subject=topic, text=found.output))
    return found.output


app = perdure.app([research, mailer])
