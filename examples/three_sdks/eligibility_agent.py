"""Says whether a claim is of a kind that is paid for, with Pydantic AI."""

from pydantic import BaseModel
from pydantic_ai import Agent

import perdure
from perdure.ext.pydantic_ai import DurableAgent
from three_sdks.claims import InsuranceClaim

eligibility_agent = perdure.Service("EligibilityAgent")


class Eligibility(BaseModel):
    """What the coordinator is told."""

    eligible: bool
    reason: str


agent = Agent(
    "openai:gpt-4o-mini",
    name="EligibilityAgent",
    output_type=Eligibility,
    instructions="Decide whether the claim is eligible for reimbursement, by what the policy covers.",
)
durable_agent = DurableAgent(agent)


@agent.tool_plain
def covered(category: str) -> str:
    """What the policy says of a category of claims."""
    return f"{category}: covered up to 5000 a year"


@eligibility_agent.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> Eligibility:
    """Look up what is covered, and judge."""
    result = await durable_agent.run(claim.model_dump_json())
    return result.output


app = perdure.app([eligibility_agent])
