"""Hands a question over to one of three specialists in the same handler, with OpenAI Agents and its handoffs."""

from agents import Agent

import perdure
from perdure.ext.openai import DurableRunner
from support_desk import SPECIALISTS, Question

agent_router = perdure.Service("AgentRouter")

MODEL = "gpt-4o-mini"

billing_agent = Agent(
    name="BillingAgent",
    model=MODEL,
    handoff_description=SPECIALISTS["BillingAgent"],
    instructions="You are a billing support specialist. "
    "Acknowledge the billing issue, explain charges clearly, provide next steps with timeline.",
)
account_agent = Agent(
    name="AccountAgent",
    model=MODEL,
    handoff_description=SPECIALISTS["AccountAgent"],
    instructions="You are an account support specialist. "
    "Acknowledge the login issue, explain how to get back in safely, provide next steps.",
)
product_agent = Agent(
    name="ProductAgent",
    model=MODEL,
    handoff_description=SPECIALISTS["ProductAgent"],
    instructions="You are a product support specialist. Explain the feature that fits, and the steps to use it.",
)
router = Agent(
    name="Router",
    model=MODEL,
    instructions="Hand the question over to the specialist who knows. If none fits, answer it yourself.",
    handoffs=[billing_agent, account_agent, product_agent],
)


@agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str:
    """Answer a question, as whoever knows most of it."""
    result = await DurableRunner.run(router, question.message)
    return result.final_output


app = perdure.app([agent_router])
