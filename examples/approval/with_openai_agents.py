"""An agent that asks a person, with OpenAI Agents: it waits as long as it takes, and costs nothing meanwhile."""

from agents import Agent

import perdure
from perdure.ext.openai import DurableRunner, current_context, durable_function_tool
from reviewers import Claim, Review, notify, reviewers

claims = perdure.Service("Claims")


@durable_function_tool
async def human_review(customer: str, amount: int) -> str:
    """Ask a person whether a claim is to be paid."""
    ctx = current_context()
    awakeable_id, approved = ctx.awakeable(type_hint=bool)
    ctx.service_send(notify, Review(claim=Claim(customer=customer, amount=amount), awakeable_id=awakeable_id))
    return "approved" if await approved else "rejected"


agent = Agent(
    name="ClaimsAgent",
    model="gpt-4o-mini",
    instructions="You decide on insurance claims. Have each reviewed by a person, then say what was decided.",
    tools=[human_review],
)


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    result = await DurableRunner.run(agent, f"Claim: {claim.model_dump_json()}")
    return result.final_output


app = perdure.app([claims, reviewers])
