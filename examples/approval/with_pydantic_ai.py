"""An agent that asks a person, with Pydantic AI: it waits for the answer for as long as it takes."""

from pydantic_ai import Agent

import perdure
from perdure.ext.pydantic_ai import DurableAgent, current_context
from reviewers import Claim, Review, notify, reviewers

claims = perdure.Service("Claims")

agent = Agent(
    "openai:gpt-4o-mini",
    name="ClaimsAgent",
    instructions="You decide on insurance claims. Have each reviewed by a person, then say what was decided.",
)
claims_agent = DurableAgent(agent)


@agent.tool_plain
async def human_review(customer: str, amount: int) -> str:
    """Ask a person whether a claim is to be paid."""
    ctx = current_context()
    awakeable_id, approved = ctx.awakeable(type_hint=bool)
    ctx.service_send(notify, Review(claim=Claim(customer=customer, amount=amount), awakeable_id=awakeable_id))
    return "approved" if await approved else "rejected"


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    result = await claims_agent.run(f"Claim: {claim.model_dump_json()}")
    return result.output


app = perdure.app([claims, reviewers])
