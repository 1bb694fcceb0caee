"""An agent that asks a person, with LiteLLM: it waits for as long as it takes, and costs nothing meanwhile."""

import perdure
from litellm_loop import run_agent
from perdure.ext.litellm import current_context
from reviewers import Claim, Review, notify, reviewers

claims = perdure.Service("Claims")


async def human_review(customer: str, amount: int) -> str:
    """Ask a person whether a claim is to be paid."""
    ctx = current_context()
    awakeable_id, approved = ctx.awakeable(type_hint=bool)
    ctx.service_send(notify, Review(claim=Claim(customer=customer, amount=amount), awakeable_id=awakeable_id))
    return "approved" if await approved else "rejected"


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    prompt = "You decide on insurance claims. Have each reviewed by a person, then say what was decided."
    return await run_agent(prompt, f"Claim: {claim.model_dump_json()}", [human_review])


app = perdure.app([claims, reviewers])
