"""A tool that is a workflow, with Pydantic AI: called like a function, it has its own journal, steps and timers."""

from pydantic_ai import Agent

import perdure
from perdure.ext.pydantic_ai import DurableAgent, current_context, remote_tool
from reviewers import Claim, reviewers
from sub_workflow.approval_workflow import approval_workflow, run

claims = perdure.Service("Claims")

human_approval = remote_tool(
    run,
    name="human_approval",
    description="Have a person decide whether a claim is to be paid.",
    key=lambda claim: str(current_context().uuid()),
)
claims_agent = DurableAgent(
    Agent(
        "openai:gpt-4o-mini",
        name="ClaimsAgent",
        instructions="You decide on insurance claims. Have each approved by a person, then say what was decided.",
        tools=[human_approval],
    )
)


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    result = await claims_agent.run(f"Claim: {claim.model_dump_json()}")
    return result.output


app = perdure.app([claims, approval_workflow, reviewers])
