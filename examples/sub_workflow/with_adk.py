"""A tool that is a workflow, with Google ADK: the agent calls it and waits; it has its own journal and timers."""

from google.adk import Agent, Runner
from google.adk.apps import App
from google.genai.types import UserContent

import perdure
from perdure.ext.adk import DurablePlugin, DurableSessionService, current_context, final_answer
from reviewers import Claim, reviewers
from sub_workflow.approval_workflow import approval_workflow, run

claims = perdure.Service("Claims")


async def human_approval(customer: str, amount: int) -> str:
    """Have a person decide whether a claim is to be paid."""
    ctx = current_context()
    return await ctx.workflow_call(run, str(ctx.uuid()), Claim(customer=customer, amount=amount))


agent = Agent(
    name="claims_agent",
    model="gemini-2.5-flash",
    instruction="You decide on insurance claims. Have each approved by a person, then say what was decided.",
    tools=[human_approval],
)
runner = Runner(
    app=App(name="claims", root_agent=agent, plugins=[DurablePlugin()]), session_service=DurableSessionService()
)


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    message = UserContent(f"Claim: {claim.model_dump_json()}")
    return await final_answer(runner.run_async(user_id=claim.customer, session_id="claim", new_message=message))


app = perdure.app([claims, approval_workflow, reviewers])
