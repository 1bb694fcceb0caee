"""Agents at the same time, with LangGraph: three nodes look at one text, and the graph puts together what they say."""

from typing import TypedDict

from langgraph.graph import START, StateGraph

import perdure
from parallel.prompts import KEY_POINTS, SENTIMENT, SUMMARY
from perdure.ext.langchain import durable_model

text_analysis = perdure.Service("TextAnalysis")

model = durable_model("openai:gpt-4o-mini")


class Analysis(TypedDict, total=False):
    """A text, and what is said of it."""

    text: str
    sentiment: str
    key_points: str
    summary: str


async def look_at_sentiment(analysis: Analysis) -> Analysis:
    return {"sentiment": (await model.ainvoke([("system", SENTIMENT), ("user", analysis["text"])])).text}


async def look_for_key_points(analysis: Analysis) -> Analysis:
    return {"key_points": (await model.ainvoke([("system", KEY_POINTS), ("user", analysis["text"])])).text}


async def summarize(analysis: Analysis) -> Analysis:
    return {"summary": (await model.ainvoke([("system", SUMMARY), ("user", analysis["text"])])).text}


builder = StateGraph(Analysis)
for node in (look_at_sentiment, look_for_key_points, summarize):
    builder.add_node(node)
    builder.add_edge(START, node.__name__)
graph = builder.compile()


@text_analysis.handler()
async def analyze(ctx: perdure.Context, text: str) -> dict[str, str]:
    """Have a text looked at from three sides."""
    analysis = await graph.ainvoke({"text": text})
    return {each: analysis[each] for each in ("sentiment", "key_points", "summary")}


app = perdure.app([text_analysis])
