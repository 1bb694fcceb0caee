"""A tool that is a workflow, with OpenAI Agents: the agent calls it and waits; it has its own journal and timers."""

from agents import Agent

import perdure
from perdure.ext.openai import DurableRunner, current_context, durable_function_tool
from reviewers import Claim, reviewers
from sub_workflow.approval_workflow import approval_workflow, run

claims = perdure.Service("Claims")


@durable_function_tool
async def human_approval(customer: str, amount: int) -> str:
    """Have a person decide whether a claim is to be paid."""
    ctx = current_context()
    return await ctx.workflow_call(run, str(ctx.uuid()), Claim(customer=customer, amount=amount))


agent = Agent(
    name="ClaimsAgent",
    model="gpt-4o-mini",
    instructions="You decide on insurance claims. Have each approved by a person, then say what was decided.",
    tools=[human_approval],
)


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    result = await DurableRunner.run(agent, f"Claim: {claim.model_dump_json()}")
    return result.final_output


app = perdure.app([claims, approval_workflow, reviewers])
