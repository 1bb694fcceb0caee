"""A tool that is a workflow, with LangChain: the agent calls it and waits; it has its own journal, steps and timers."""

from langchain.agents import create_agent

import perdure
from perdure.ext.langchain import DurableMiddleware, current_context
from reviewers import Claim, reviewers
from sub_workflow.approval_workflow import approval_workflow, run

claims = perdure.Service("Claims")


async def human_approval(customer: str, amount: int) -> str:
    """Have a person decide whether a claim is to be paid."""
    ctx = current_context()
    return await ctx.workflow_call(run, str(ctx.uuid()), Claim(customer=customer, amount=amount))


agent = create_agent(
    "openai:gpt-4o-mini",
    [human_approval],
    system_prompt="You decide on insurance claims. Have each approved by a person, then say what was decided.",
    middleware=[DurableMiddleware()],
)


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    result = await agent.ainvoke({"messages": [{"role": "user", "content": f"Claim: {claim.model_dump_json()}"}]})
    return result["messages"][-1].text


app = perdure.app([claims, approval_workflow, reviewers])
