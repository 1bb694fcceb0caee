"""Agents one after another, with OpenAI Agents: each works on what the one before it wrote."""

from agents import Agent

import perdure
from perdure.ext.openai import DurableRunner
from sequential.prompts import ASSESS, EXPLAIN, PARSE

reimbursement = perdure.Service("Reimbursement")

MODEL = "gpt-4o-mini"

parser = Agent(name="Parser", model=MODEL, instructions=PARSE)
assessor = Agent(name="Assessor", model=MODEL, instructions=ASSESS)
explainer = Agent(name="Explainer", model=MODEL, instructions=EXPLAIN)


@reimbursement.handler()
async def process(ctx: perdure.Context, document: str) -> str:
    """Parse an expense document, assess it, explain the decision."""
    expense = await DurableRunner.run(parser, document)
    decision = await DurableRunner.run(assessor, expense.final_output)
    explanation = await DurableRunner.run(explainer, decision.final_output)
    return explanation.final_output


app = perdure.app([reimbursement])
