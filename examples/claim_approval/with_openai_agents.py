"""Decides on insurance claims with the help of two other agents, with OpenAI Agents: each is a durable call."""

from agents import Agent

import perdure
from claim_approval import eligibility_agent, fraud_agent
from claim_approval.claims import InsuranceClaim
from perdure.ext.openai import DurableRunner, current_context, durable_function_tool, remote_tool

claim_approval = perdure.Service("MultiAgentClaimApproval")

# A handler elsewhere as a tool: its input, types and description are the handler's.
check_eligibility = durable_function_tool(remote_tool(eligibility_agent.run, name="check_eligibility"))


# The same, written out.
@durable_function_tool
async def check_fraud(claim: InsuranceClaim) -> str:
    """Analyze the probability of fraud."""
    return await current_context().service_call(fraud_agent.run, claim)


agent = Agent(
    name="ClaimApprovalCoordinator",
    model="gpt-4o-mini",
    instructions="You are a claim approval engine. "
    "Analyze the claim and use your tools to decide whether to approve it.",
    tools=[check_eligibility, check_fraud],
)


@claim_approval.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Hear both agents, which run in processes of their own, then decide."""
    result = await DurableRunner.run(agent, f"Claim: {claim.model_dump_json()}")
    return result.final_output


app = perdure.app([claim_approval])
