"""Decides on insurance claims, with OpenAI Agents: its tools are agents in other processes, written with other SDKs."""

from agents import Agent

import perdure
from perdure.ext.openai import DurableRunner, current_context, durable_function_tool
from three_sdks.claims import InsuranceClaim

claim_approval = perdure.Service("MultiAgentClaimApproval")


@durable_function_tool
async def check_eligibility(claim: InsuranceClaim) -> str:
    """Analyze claim eligibility."""
    return await hear("EligibilityAgent", claim)


@durable_function_tool
async def check_fraud(claim: InsuranceClaim) -> str:
    """Analyze the probability of fraud."""
    return await hear("FraudAgent", claim)


async def hear(agent: str, claim: InsuranceClaim) -> str:
    # By name, as this process cannot import their code: their SDKs are not installed here.
    finding = await current_context().generic_call(agent, "run", claim.model_dump_json().encode())
    return finding.decode()


agent = Agent(
    name="ClaimApprovalCoordinator",
    model="gpt-4o-mini",
    instructions="You are a claim approval engine. "
    "Analyze the claim with both of your tools, then decide whether to approve it.",
    tools=[check_eligibility, check_fraud],
)


@claim_approval.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Hear both agents, at the same time if the model asks for that, then decide."""
    result = await DurableRunner.run(agent, f"Claim: {claim.model_dump_json()}")
    return result.final_output


app = perdure.app([claim_approval])
