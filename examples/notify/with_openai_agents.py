"""An agent that takes its time, with OpenAI Agents: the caller is answered at once, and gets a mail in the end."""

from agents import Agent

import perdure
from notify.mailer import Mail, mailer, send
from perdure.ext.openai import DurableRunner

research = perdure.Service("Research")

researcher = Agent(
    name="Researcher",
    model="gpt-4o-mini",
    instructions="Write what is worth knowing about this topic, in a few sentences.",
)


@research.handler()
async def run(ctx: perdure.Context, topic: str) -> str:
    """Accept a topic. What is sent is done, whatever becomes of the caller."""
    accepted = ctx.service_send(write, topic)
    return f"accepted: {await accepted.invocation_id()}"


@research.handler()
async def write(ctx: perdure.Context, topic: str) -> str:
    """Look into a topic, and mail what was found."""
    found = await DurableRunner.run(researcher, topic)
    ctx.service_send(send, Mail(subject=topic, text=found.final_output))
    return found.final_output


app = perdure.app([research, mailer])
