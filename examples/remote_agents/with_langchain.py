"""Routes a question to one of three specialists, with LangChain: each is a service elsewhere, and a tool."""

from langchain.agents import create_agent

import perdure
from perdure.ext.langchain import DurableMiddleware, remote_tool
from remote_agents import account_agent, billing_agent, product_agent
from support_desk import SPECIALISTS, Question

remote_agent_router = perdure.Service("RemoteAgentRouter")

HANDLERS = {
    "BillingAgent": billing_agent.get_billing_support,
    "AccountAgent": account_agent.get_account_support,
    "ProductAgent": product_agent.get_product_support,
}

agent = create_agent(
    "openai:gpt-4o-mini",
    [remote_tool(HANDLERS[name], name=name, description=knows) for name, knows in SPECIALISTS.items()],
    system_prompt="Ask the specialist who knows, and say what the specialist said. If none fits, answer yourself.",
    middleware=[DurableMiddleware()],
)


@remote_agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str:
    """Answer a question, by whoever knows most of it."""
    result = await agent.ainvoke({"messages": [{"role": "user", "content": question.message}]})
    return result["messages"][-1].text


app = perdure.app([remote_agent_router])
