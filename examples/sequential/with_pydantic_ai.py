"""Agents one after another, with Pydantic AI: each works on what the one before it wrote."""

from pydantic_ai import Agent

import perdure
from perdure.ext.pydantic_ai import DurableAgent
from sequential.prompts import ASSESS, EXPLAIN, PARSE

reimbursement = perdure.Service("Reimbursement")

parser = DurableAgent(Agent("openai:gpt-4o-mini", name="Parser", instructions=PARSE))
assessor = DurableAgent(Agent("openai:gpt-4o-mini", name="Assessor", instructions=ASSESS))
explainer = DurableAgent(Agent("openai:gpt-4o-mini", name="Explainer", instructions=EXPLAIN))


@reimbursement.handler()
async def process(ctx: perdure.Context, document: str) -> str:
    """Parse an expense document, assess it, explain the decision."""
    expense = await parser.run(document)
    decision = await assessor.run(expense.output)
    explanation = await explainer.run(decision.output)
    return explanation.output


app = perdure.app([reimbursement])
