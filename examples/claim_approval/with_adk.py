"""Decides on insurance claims with the help of two other agents, with Google ADK: each is a durable call."""

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from claim_approval import eligibility_agent, fraud_agent
from claim_approval.claims import InsuranceClaim
from perdure.ext.adk import DurablePlugin, DurableSessionService, current_context, final_answer, remote_tool

claim_approval = perdure.Service("MultiAgentClaimApproval")

# A handler elsewhere as a tool: its input, types and description are the handler's.
check_eligibility = remote_tool(eligibility_agent.run, name="check_eligibility")


# The same, written out.
async def check_fraud(claim: InsuranceClaim) -> str:
    """Analyze the probability of fraud."""
    return await current_context().service_call(fraud_agent.run, claim)


agent = Agent(
    name="ClaimApprovalCoordinator",
    model="gemini-2.5-flash",
    instruction="You are a claim approval engine. "
    "Analyze the claim and use your tools to decide whether to approve it.",
    tools=[check_eligibility, check_fraud],
)
runner = Runner(
    app=App(name="claims", root_agent=agent, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@claim_approval.handler()
async def run(ctx: perdure.Context, claim: InsuranceClaim) -> str:
    """Hear both agents, which run in processes of their own, then decide."""
    message = UserContent(f"Claim: {claim.model_dump_json()}")
    return await final_answer(runner.run_async(user_id="user", session_id="claim", new_message=message))


app = perdure.app([claim_approval])
