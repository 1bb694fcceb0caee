"""A writer and a judge in turns, with LangGraph: a loop, until the judge is content or three turns are over."""

from typing import TypedDict

from langgraph.graph import END, START, StateGraph

import perdure
from evaluator_optimizer.roles import JUDGE, WRITER
from perdure.ext.langchain import durable_model

translation = perdure.Service("Translation")

TURNS_MAX = 3

model = durable_model("openai:gpt-4o-mini")


class Work(TypedDict, total=False):
    """A text, its translation so far, and what is wrong with that."""

    text: str
    draft: str
    verdict: str
    turns: int


async def write(work: Work) -> Work:
    task = work["text"]
    if "verdict" in work:
        task = f"Text: {task}\nTranslation: {work['draft']}\nWrong with it: {work['verdict']}"
    said = await model.ainvoke([("system", WRITER), ("user", task)])
    return {"draft": said.text, "turns": work.get("turns", 0) + 1}


async def judge(work: Work) -> Work:
    task = f"Text: {work['text']}\nTranslation: {work['draft']}"
    return {"verdict": (await model.ainvoke([("system", JUDGE), ("user", task)])).text}


async def enough_turns(work: Work) -> str:
    return END if work["turns"] == TURNS_MAX else "judge"


async def good_enough(work: Work) -> str:
    return END if work["verdict"].startswith("PASS") else "write"


builder = StateGraph(Work)
builder.add_node(write)
builder.add_node(judge)
builder.add_edge(START, "write")
builder.add_conditional_edges("write", enough_turns, ["judge", END])
builder.add_conditional_edges("judge", good_enough, ["write", END])
graph = builder.compile()


@translation.handler()
async def improve(ctx: perdure.Context, text: str) -> str:
    """Translate a text, and improve the translation by what the judge says."""
    work = await graph.ainvoke({"text": text})
    return work["draft"]


app = perdure.app([translation])
