"""An agent that asks a person, with LangChain: it waits for as long as it takes, and costs nothing meanwhile."""

from langchain.agents import create_agent

import perdure
from perdure.ext.langchain import DurableMiddleware, current_context
from reviewers import Claim, Review, notify, reviewers

claims = perdure.Service("Claims")


async def human_review(customer: str, amount: int) -> str:
    """Ask a person whether a claim is to be paid."""
    ctx = current_context()
    awakeable_id, approved = ctx.awakeable(type_hint=bool)
    ctx.service_send(notify, Review(claim=Claim(customer=customer, amount=amount), awakeable_id=awakeable_id))
    return "approved" if await approved else "rejected"


agent = create_agent(
    "openai:gpt-4o-mini",
    [human_review],
    system_prompt="You decide on insurance claims. Have each reviewed by a person, then say what was decided.",
    middleware=[DurableMiddleware()],
)


@claims.handler()
async def decide(ctx: perdure.Context, claim: Claim) -> str:
    """Decide on a claim, with a person's help."""
    result = await agent.ainvoke({"messages": [{"role": "user", "content": f"Claim: {claim.model_dump_json()}"}]})
    return result["messages"][-1].text


app = perdure.app([claims, reviewers])
