"""Agents one after another, with LangGraph: each is a node, and works on what the one before it wrote."""

from typing import TypedDict

from langgraph.graph import START, StateGraph

import perdure
from perdure.ext.langchain import durable_model
from sequential.prompts import ASSESS, EXPLAIN, PARSE

reimbursement = perdure.Service("Reimbursement")

model = durable_model("openai:gpt-4o-mini")


class Case(TypedDict, total=False):
    """What the agents hand on."""

    document: str
    expense: str
    decision: str
    letter: str


async def parse(case: Case) -> Case:
    return {"expense": (await model.ainvoke([("system", PARSE), ("user", case["document"])])).text}


async def assess(case: Case) -> Case:
    return {"decision": (await model.ainvoke([("system", ASSESS), ("user", case["expense"])])).text}


async def explain(case: Case) -> Case:
    return {"letter": (await model.ainvoke([("system", EXPLAIN), ("user", case["decision"])])).text}


builder = StateGraph(Case)
builder.add_sequence([parse, assess, explain])
builder.add_edge(START, "parse")
graph = builder.compile()


@reimbursement.handler()
async def process(ctx: perdure.Context, document: str) -> str:
    """Parse an expense document, assess it, explain the decision."""
    case = await graph.ainvoke({"document": document})
    return case["letter"]


app = perdure.app([reimbursement])
