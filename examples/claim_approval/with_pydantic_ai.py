"""Decides on insurance claims with the help of two other agents, with Pydantic AI: each is a service of its own."""

from pydantic_ai import Agent

import perdure
from claim_approval.claims import InsuranceClaim
from perdure.ext.pydantic_ai import DurableAgent, current_context

eligibility_agent_service = perdure.Service("EligibilityAgent")
fraud_agent_service = perdure.Service("FraudAgent")
agent_service = perdure.Service("MultiAgentClaimApproval")

eligibility_agent = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="EligibilityAgent",
        system_prompt="Decide whether the following claim is eligible for reimbursement. "
        "Respond with eligible if it's a medical claim, and not eligible otherwise.",
    )
)
fraud_agent = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="FraudAgent",
        system_prompt="Decide whether the following claim is fraudulent. "
        "Always respond with low_risk, medium_risk, or high_risk.",
    )
)
agent = Agent(
    "openai:gpt-4o-mini",
    name="ClaimApprovalAgent",
    system_prompt="You are a claim approval engine. Analyze the claim and use your tools to decide whether to approve.",
)
claim_approval_agent = DurableAgent(agent)


@eligibility_agent_service.handler("run")
async def run_eligibility_agent(_ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Say whether a claim is of a kind that is paid for."""
    result = await eligibility_agent.run(claim.model_dump_json())
    return result.output


@fraud_agent_service.handler("run")
async def run_fraud_agent(_ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Say how likely a claim is a fraud."""
    result = await fraud_agent.run(claim.model_dump_json())
    return result.output


@agent.tool_plain
async def check_eligibility(claim: InsuranceClaim) -> str:
    """Analyze claim eligibility."""
    return await current_context().service_call(run_eligibility_agent, claim)


@agent.tool_plain
async def check_fraud(claim: InsuranceClaim) -> str:
    """Analyze the probability of fraud."""
    return await current_context().service_call(run_fraud_agent, claim)


@agent_service.handler()
async def run(_ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Hear both agents, decide."""
    result = await claim_approval_agent.run(f"Claim: {claim.model_dump_json()}")
    return result.output


app = perdure.app([agent_service, eligibility_agent_service, fraud_agent_service])
