"""Routes a question to one of three specialists, each a service elsewhere, with Pydantic AI."""

from pydantic_ai import Agent, Tool

import perdure
from perdure.ext.pydantic_ai import DurableAgent, remote_tool
from remote_agents.account_agent import get_account_support
from remote_agents.billing_agent import get_billing_support
from remote_agents.product_agent import get_product_support
from support_desk import SPECIALISTS, Question

remote_agent_router = perdure.Service("RemoteAgentRouter")

# The specialists may be written with another SDK, or in another language.
HANDLERS = {
    "BillingAgent": get_billing_support,
    "AccountAgent": get_account_support,
    "ProductAgent": get_product_support,
}

router = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="Router",
        instructions="Ask the specialist who knows, then give the specialist's answer, word by word.",
        tools=[
            Tool(remote_tool(handler, name=name, description=SPECIALISTS[name])) for name, handler in HANDLERS.items()
        ],
    )
)


@remote_agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str:
    """Answer a question with the help of the agent that knows."""
    result = await router.run(question.message)
    return result.output


app = perdure.app([remote_agent_router])
