"""An agent that takes its time, with LangChain: the caller is answered at once, and gets a mail in the end."""

from langchain.agents import create_agent

import perdure
from notify.mailer import Mail, mailer, send
from perdure.ext.langchain import DurableMiddleware

research = perdure.Service("Research")

researcher = create_agent(
    "openai:gpt-4o-mini",
    system_prompt="Write what is worth knowing about this topic, in a few sentences.",
    middleware=[DurableMiddleware()],
    name="Researcher",
)


@research.handler()
async def run(ctx: perdure.Context, topic: str) -> str:
    """Accept a topic. What is sent is done, whatever becomes of the caller."""
    accepted = ctx.service_send(write, topic)
    return f"accepted: {await accepted.invocation_id()}"


@research.handler()
async def write(ctx: perdure.Context, topic: str) -> str:
    """Look into a topic, and mail what was found."""
    result = await researcher.ainvoke({"messages": [{"role": "user", "content": topic}]})
    found = result["messages"][-1].text
    ctx.service_send(send, Mail(subject=topic, text=found))
    return found


app = perdure.app([research, mailer])
