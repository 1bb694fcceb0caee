"""Decides on insurance claims with the help of two other agents, with LiteLLM: a handler elsewhere is a tool here."""

import perdure
from claim_approval import eligibility_agent, fraud_agent
from claim_approval.claims import InsuranceClaim
from litellm_loop import run_agent
from perdure.ext.litellm import remote_tool

claim_approval = perdure.Service("MultiAgentClaimApproval")

check_eligibility = remote_tool(
    eligibility_agent.run, name="check_eligibility", description="Analyze claim eligibility."
)
check_fraud = remote_tool(fraud_agent.run, name="check_fraud", description="Analyze the probability of fraud.")


@claim_approval.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Hear both agents, which run in processes of their own, then decide."""
    prompt = "You are a claim approval engine. Analyze the claim and use your tools to decide whether to approve it."
    return await run_agent(prompt, f"Claim: {claim.model_dump_json()}", [check_eligibility, check_fraud])


app = perdure.app([claim_approval])
