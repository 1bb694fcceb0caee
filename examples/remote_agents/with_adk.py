"""Routes a question to one of three specialists, each a service elsewhere, with Google ADK."""

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, final_answer, remote_tool
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

router = Agent(
    name="Router",
    model="gemini-2.5-flash",
    instruction="Ask the specialist who knows, then give the specialist's answer, word by word.",
    tools=[remote_tool(handler, name=name, description=SPECIALISTS[name]) for name, handler in HANDLERS.items()],
)
runner = Runner(
    app=App(name="support", root_agent=router, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@remote_agent_router.handler()
async def answer(ctx: perdure.Context, question: Question) -> str:
    """Answer a question with the help of the agent that knows."""
    message = UserContent(question.message)
    return await final_answer(runner.run_async(user_id="user", session_id="question", new_message=message))


app = perdure.app([remote_agent_router])
