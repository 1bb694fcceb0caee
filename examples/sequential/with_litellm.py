"""Agents one after another, with LiteLLM: each works on what the one before it wrote."""

import perdure
from litellm_loop import run_agent
from sequential.prompts import ASSESS, EXPLAIN, PARSE

reimbursement = perdure.Service("Reimbursement")


@reimbursement.handler()
async def process(ctx: perdure.Context, document: str) -> str:
    """Parse an expense document, assess it, explain the decision."""
    expense = await run_agent(PARSE, document)
    decision = await run_agent(ASSESS, expense)
    return await run_agent(EXPLAIN, decision)


app = perdure.app([reimbursement])
