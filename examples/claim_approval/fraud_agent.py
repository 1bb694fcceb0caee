"""Says how likely a claim is a fraud."""

import perdure
from claim_approval.claims import InsuranceClaim
from perdure import RunOptions
from perdure.llm import llm_call, tool

fraud_agent = perdure.Service("FraudAgent")

VERDICTS = [
    tool(
        name="low_risk",
        description="a plausible, ordinary, usual expense",
        examples=["200 for an X-ray of the wrist", "1500 for two nights in hospital after a fall"],
    ),
    tool(
        name="high_risk",
        description="a suspicious, invented, absurd expense",
        examples=["90000 for a headache pill", "50000 in cash for a treatment that nobody saw"],
    ),
]


@fraud_agent.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Analyze the probability of fraud."""
    verdict = await ctx.run_typed(
        "Judge fraud",
        llm_call,
        RunOptions(max_attempts=3),
        messages=f"{claim.amount:.0f} for {claim.reason}",
        tools=VERDICTS,
    )
    return verdict.tool_calls[0].function.name if verdict.tool_calls else str(verdict.content)


app = perdure.app([fraud_agent])
