"""Decides on insurance claims with the help of two other agents, with LangChain: each is a durable call."""

from langchain.agents import create_agent

import perdure
from claim_approval import eligibility_agent, fraud_agent
from claim_approval.claims import InsuranceClaim
from perdure.ext.langchain import DurableMiddleware, current_context, remote_tool

claim_approval = perdure.Service("MultiAgentClaimApproval")

# A handler elsewhere as a tool: its input, types and description are the handler's.
check_eligibility = remote_tool(eligibility_agent.run, name="check_eligibility")


# The same, written out.
async def check_fraud(claim: InsuranceClaim) -> str:
    """Analyze the probability of fraud."""
    return await current_context().service_call(fraud_agent.run, claim)


agent = create_agent(
    "openai:gpt-4o-mini",
    [check_eligibility, check_fraud],
    system_prompt="You are a claim approval engine. "
    "Analyze the claim and use your tools to decide whether to approve it.",
    middleware=[DurableMiddleware()],
)


@claim_approval.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Hear both agents, which run in processes of their own, then decide."""
    result = await agent.ainvoke({"messages": [{"role": "user", "content": f"Claim: {claim.model_dump_json()}"}]})
    return result["messages"][-1].text


app = perdure.app([claim_approval])
