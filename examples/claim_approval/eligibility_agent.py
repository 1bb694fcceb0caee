"""Says whether a claim is of a kind that is paid for."""

import perdure
from claim_approval.claims import InsuranceClaim
from perdure import RunOptions
from perdure.llm import llm_call, tool

eligibility_agent = perdure.Service("EligibilityAgent")

VERDICTS = [
    tool(
        name="eligible",
        description="medical treatment, hospital, doctor",
        examples=["dental surgery after an accident, at the City Clinic", "blood test, ordered by the family doctor"],
    ),
    tool(
        name="not_eligible",
        description="shopping, travel, entertainment",
        examples=["a new television for the living room", "flight tickets to a beach holiday"],
    ),
]


@eligibility_agent.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Eligible if it is a medical claim, and not eligible otherwise."""
    verdict = await ctx.run_typed(
        "Judge eligibility",
        llm_call,
        RunOptions(max_attempts=3),
        messages=f"{claim.category}: {claim.reason}, at {claim.placeOfService}",
        tools=VERDICTS,
    )
    return verdict.tool_calls[0].function.name if verdict.tool_calls else str(verdict.content)


app = perdure.app([eligibility_agent])
