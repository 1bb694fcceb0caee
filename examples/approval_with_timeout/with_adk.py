"""An agent that asks a person, and goes on without one after three hours, with Google ADK."""

from datetime import timedelta

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, current_context, final_answer
from reviewers import Claim, Review, notify, reviewers

claims = perdure.Service("Claims")


async def human_review(customer: str, amount: int) -> str:
    """Ask a person whether a claim is to be paid."""
    ctx = current_context()
    awakeable_id, approved = ctx.awakeable(type_hint=bool)
    ctx.service_send(notify, Review(claim=Claim(customer=customer, amount=amount), awakeable_id=awakeable_id))
    match await perdure.select(approved=approved, timeout=ctx.sleep(timedelta(hours=3))):
        case ["approved", True]:
            return "approved"
        case ["approved", False]:
            return "rejected"
        case _:
            return "nobody answered within 3 hours"


agent = Agent(
    name="claims_agent",
    model="gemini-2.5-flash",
    instruction="You decide on insurance claims. Have each reviewed by a person, then say what was decided. "
    "Where nobody answers, pay what is below 1000.",
    tools=[human_review],
)
runner = Runner(
    app=App(name="claims", root_agent=agent, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    message = UserContent(f"Claim: {claim.model_dump_json()}")
    return await final_answer(runner.run_async(user_id=claim.customer, session_id="claim", new_message=message))


app = perdure.app([claims, reviewers])
