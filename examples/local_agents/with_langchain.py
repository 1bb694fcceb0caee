"""Hands a question to one of three specialists in the same handler, with LangChain: each is an agent, and a tool."""

from langchain.agents import create_agent

import perdure
from perdure.ext.langchain import DurableMiddleware
from support_desk import Question

agent_router = perdure.Service("AgentRouter")

MODEL = "openai:gpt-4o-mini"

billing_agent = create_agent(
    MODEL,
    system_prompt="You are a billing support specialist. "
    "Acknowledge the billing issue, explain charges clearly, provide next steps with timeline.",
    middleware=[DurableMiddleware()],
    name="BillingAgent",
)
account_agent = create_agent(
    MODEL,
    system_prompt="You are an account support specialist. "
    "Acknowledge the login issue, explain how to get back in safely, provide next steps.",
    middleware=[DurableMiddleware()],
    name="AccountAgent",
)
product_agent = create_agent(
    MODEL,
    system_prompt="You are a product support specialist. Explain the feature that fits, and the steps to use it.",
    middleware=[DurableMiddleware()],
    name="ProductAgent",
)


async def ask_billing_agent(message: str) -> str:
    """Expert in payments, charges, and refunds"""
    return (await billing_agent.ainvoke({"messages": [{"role": "user", "content": message}]}))["messages"][-1].text


async def ask_account_agent(message: str) -> str:
    """Expert in login issues and security"""
    return (await account_agent.ainvoke({"messages": [{"role": "user", "content": message}]}))["messages"][-1].text


async def ask_product_agent(message: str) -> str:
    """Expert in features and how-to guides"""
    return (await product_agent.ainvoke({"messages": [{"role": "user", "content": message}]}))["messages"][-1].text


router = create_agent(
    MODEL,
    [ask_billing_agent, ask_account_agent, ask_product_agent],
    system_prompt="Ask the specialist who knows, and say what the specialist said. If none fits, answer yourself.",
    middleware=[DurableMiddleware()],
    name="Router",
)


@agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str:
    """Answer a question, by whoever knows most of it."""
    result = await router.ainvoke({"messages": [{"role": "user", "content": question.message}]})
    return result["messages"][-1].text


app = perdure.app([agent_router])
