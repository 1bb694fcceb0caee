"""A planner, workers, an editor, with LangGraph: it sends each section to a node, which calls a worker durably."""

import operator
from typing import Annotated, TypedDict

from langchain.agents import create_agent
from langgraph.graph import START, StateGraph
from langgraph.types import Send

import perdure
from orchestrator_workers.roles import EDITOR, PLANNER, WORKER, Section, titles
from perdure.ext.langchain import DurableMiddleware, current_context, durable_model

report = perdure.Service("Report")
worker_agent = perdure.Service("WorkerAgent")

model = durable_model("openai:gpt-4o-mini")


class Draft(TypedDict, total=False):
    """A report in the making."""

    topic: str
    plan: str
    sections: Annotated[list[str], operator.add]
    text: str


async def plan(draft: Draft) -> Draft:
    return {"plan": (await model.ainvoke([("system", PLANNER), ("user", draft["topic"])])).text}


async def hand_out(draft: Draft) -> list[Send]:
    return [Send("write", Section(topic=draft["topic"], title=title)) for title in titles(draft["plan"])]


async def write(section: Section) -> Draft:
    # The workers can run anywhere: serve `worker_agent` in other processes, and this line stays as it is.
    return {"sections": [await current_context().service_call(write_section, section)]}


async def edit(draft: Draft) -> Draft:
    return {"text": (await model.ainvoke([("system", EDITOR), ("user", "\n\n".join(draft["sections"]))])).text}


builder = StateGraph(Draft)
builder.add_node(plan)
builder.add_node(write)
builder.add_node(edit)
builder.add_edge(START, "plan")
builder.add_conditional_edges("plan", hand_out, ["write"])
builder.add_edge("write", "edit")
graph = builder.compile()

worker = create_agent("openai:gpt-4o-mini", system_prompt=WORKER, middleware=[DurableMiddleware()])


@report.handler("write")
async def write_report(ctx: perdure.Context, topic: str) -> str:
    """Write a report on a topic."""
    draft = await graph.ainvoke({"topic": topic})
    return draft["text"]


@worker_agent.handler("write")
async def write_section(ctx: perdure.Context, section: Section) -> str:
    """Write one section."""
    task = f"{section.topic}: {section.title}"
    result = await worker.ainvoke({"messages": [{"role": "user", "content": task}]})
    return result["messages"][-1].text


app = perdure.app([report, worker_agent])
