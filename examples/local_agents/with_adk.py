"""Hands a question over to one of three specialists in the same handler, with Google ADK and its sub-agents."""

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer
from support_desk import SPECIALISTS, Question

agent_router = perdure.Service("AgentRouter")

MODEL = "gemini-2.5-flash"

billing_agent = Agent(
    name="BillingAgent",
    model=MODEL,
    description=SPECIALISTS["BillingAgent"],
    instruction="You are a billing support specialist. "
    "Acknowledge the billing issue, explain charges clearly, provide next steps with timeline.",
)
account_agent = Agent(
    name="AccountAgent",
    model=MODEL,
    description=SPECIALISTS["AccountAgent"],
    instruction="You are an account support specialist. "
    "Acknowledge the login issue, explain how to get back in safely, provide next steps.",
)
product_agent = Agent(
    name="ProductAgent",
    model=MODEL,
    description=SPECIALISTS["ProductAgent"],
    instruction="You are a product support specialist. Explain the feature that fits, and the steps to use it.",
)
router = Agent(
    name="Router",
    model=MODEL,
    instruction="Hand the question over to the specialist who knows. If none fits, answer it yourself.",
    sub_agents=[billing_agent, account_agent, product_agent],
)
runner = Runner(
    app=App(name="support", root_agent=router, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str:
    """Answer a question, as whoever knows most of it."""
    message = UserContent(question.message)
    return await final_answer(runner.run_async(user_id="user", session_id="question", new_message=message))


app = perdure.app([agent_router])
