"""Says how likely a claim is a fraud: an agent in Python, for a router in TypeScript."""

from pydantic import BaseModel

import perdure
from perdure import RunOptions
from perdure.llm import llm_call

fraud_agent = perdure.Service("FraudAgent")


class InsuranceClaim(BaseModel):
    """What a customer wants to be paid for: `InsuranceClaim` of claims.ts. A model may leave any of it out."""

    date: str | None = None
    category: str | None = None
    reason: str | None = None
    amount: float | None = None
    placeOfService: str | None = None


@fraud_agent.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str | None:
    """Analyze the probability of fraud."""
    reply = await ctx.run_typed(
        "Judge fraud",
        llm_call,
        RunOptions(max_attempts=3),
        messages=[
            {
                "role": "system",
                "content": "Decide whether the following claim is fraudulent. "
                "Respond with low risk, medium risk or high risk.",
            },
            {"role": "user", "content": claim.model_dump_json()},
        ],
    )
    return reply.content


app = perdure.app([fraud_agent])
