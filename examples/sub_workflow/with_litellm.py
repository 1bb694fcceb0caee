"""A tool that is a workflow, with LiteLLM: the agent calls it and waits."""

import perdure
from litellm_loop import run_agent
from perdure.ext.litellm import current_context
from reviewers import Claim, reviewers
from sub_workflow.approval_workflow import approval_workflow, run

claims = perdure.Service("Claims")


async def human_approval(customer: str, amount: int) -> str:
    """Have a person decide whether a claim is to be paid."""
    ctx = current_context()
    return await ctx.workflow_call(run, str(ctx.uuid()), Claim(customer=customer, amount=amount))


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    prompt = "You decide on insurance claims. Have each approved by a person, then say what was decided."
    return await run_agent(prompt, f"Claim: {claim.model_dump_json()}", [human_approval])


app = perdure.app([claims, approval_workflow, reviewers])
